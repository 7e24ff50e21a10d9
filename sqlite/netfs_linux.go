package sqlite

import "golang.org/x/sys/unix"

// remote returns the name of the network file system that dir is on, or "". Locks and shared
// memory do not work there as SQLite needs them.
func remote(dir string) (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "", err
	}
	return remoteKind(uint32(fs.Type)), nil //nolint:gosec // a magic number has 32 bits
}

// remoteKind knows the magic numbers of statfs(2); Lustre's is from its own headers.
func remoteKind(magic uint32) string {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "SMB"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	case 0x0bd00bd0:
		return "Lustre"
	}
	return ""
}
