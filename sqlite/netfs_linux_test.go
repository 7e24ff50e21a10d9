package sqlite

import "testing"

func TestNetworkFileSystemsAreRefused(t *testing.T) {
	for magic, want := range map[uint32]string{0x6969: "NFS", 0xff534d42: "SMB", 0xfe534d42: "SMB", 0x00c36400: "Ceph", 0x0bd00bd0: "Lustre", 0xef53: "", 0x01021994: ""} {
		if got := remoteKind(magic); got != want {
			t.Errorf("%#x is %q, want %q", magic, got, want)
		}
	}
}
