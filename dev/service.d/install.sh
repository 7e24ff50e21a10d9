# shellcheck shell=bash disable=SC2154 # dir is set by service.sh
# Installation of Debian's packages, without letting them start servers of their own.

# install gets what the named services need and marks those that can be had. It fails if one cannot.
install() {
	local name packages=() failed=0
	for name in "$@"; do
		mapfile -t -O ${#packages[@]} packages < <("${name}_packages")
	done
	[ ${#packages[@]} -eq 0 ] || apt_install "${packages[@]}" || true
	for name in "$@"; do
		if [ -n "$("${name}_packages")" ]; then
			say "$name" "is not installed, and there is no Docker: install $("${name}_packages" | tr '\n' ' ')or set $(variable "$name")"
			failed=1
		elif defined "${name}_fetch" && ! "${name}_fetch"; then
			failed=1
		else
			decide "$name" debian
		fi
	done
	return $failed
}

# as_root runs a command as root, and fails if that is not possible without a password.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

apt_install() {
	local begun=$EPOCHREALTIME log=$dir/apt.log
	has apt-get && as_root true 2>/dev/null || return
	say apt "installing $*"
	as_root env DEBIAN_FRONTEND=noninteractive bash -c "$(declare -f quietly); quietly \"\$@\"" - "$@" >"$log" 2>&1 9>&- || {
		say apt "failed; the end of $log:"
		tail -n 10 "$log" | sed 's/^/    /' >&2
		return 1
	}
	say apt "installed ($(since "$begun"))"
}

# quietly installs packages while the system is told to start no service and to make no database cluster.
# It runs in a shell of root's. What was there before is put back.
quietly() {
	policy=/usr/sbin/policy-rc.d
	cluster=/etc/postgresql-common/createcluster.d/vedette.conf
	# shellcheck disable=SC2329 # the trap calls it
	restore() {
		rm -f "$policy" "$cluster"
		rmdir -p --ignore-fail-on-non-empty "$(dirname "$cluster")"
		[ ! -e "$policy.vedette" ] || mv "$policy.vedette" "$policy"
	}
	exec 7>/var/lock/vedette-apt.lock
	flock -w 600 7 || return
	# A copy that is there already is of a run that was killed: it is the original.
	[ ! -e "$policy" ] || [ -e "$policy.vedette" ] || mv "$policy" "$policy.vedette"
	trap restore EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	mkdir -p "$(dirname "$cluster")"
	echo 'create_main_cluster = false' >"$cluster"
	# A foreign source that does not answer fails the update, and need not matter.
	apt-get -q -o DPkg::Lock::Timeout=300 update 7>&- || true
	apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" 7>&-
}
