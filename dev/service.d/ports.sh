# shellcheck shell=bash disable=SC2154 # dir is set by service.sh
# Ports. A service keeps those it once got, because clients of a crashed server expect it there again.
# All folders of a user write theirs into one list, so that two clones that start together, or one that is
# down, do not lose theirs to each other.
port_list=/var/tmp/vedette-ports-$UID

# reserve gives NAME the ports it has none for yet. A port that was lost to another program while the
# service was down is replaced.
reserve() {
	local kind file
	for kind in $("$1_ports"); do
		file=$dir/$1/$kind.port
		if [ -s "$file" ] && [ -z "$(pid_of "$1")" ] && listens "127.0.0.1:$(<"$file")"; then
			say "$1" "port $(<"$file") is in use by another program, taking a new one"
			rm "$file"
		fi
		[ -s "$file" ] || new_port "$file"
	done
}

# new_port draws from below the range from which Linux takes ports for outgoing connections.
new_port() {
	local file=$1 port
	exec 8>>"$port_list"
	flock 8
	keep_reserved
	while port=$((20000 + RANDOM % 12000)); do
		grep -q "^$port " "$port_list" || listens "127.0.0.1:$port" || break
	done
	echo "$port $file" >&8
	echo "$port" >"$file"
	exec 8>&-
}

# keep_reserved drops the entries of folders that are gone.
keep_reserved() {
	local port file kept=""
	while read -r port file; do
		[ "$(cat "$file" 2>/dev/null)" != "$port" ] || kept+="$port $file"$'\n'
	done <"$port_list"
	printf %s "$kept" >"$port_list"
}

port() { cat "$dir/$1/${2:-port}.port"; }
