# shellcheck shell=bash disable=SC2154 # root and known are set by dev/services
# What all services have in common. A service NAME defines:
#
#   NAME_packages      print the Debian packages that it still needs
#   NAME_fetch         get what is in no package (optional)
#   NAME_ports         print the names of its ports; the first, "port", is the one for clients
#   NAME_start         start the installed server as a daemon
#   NAME_pid           print the pid that the server wrote down, dead or alive
#   NAME_mark          print what the command line of that process must contain
#   NAME_asks          print a request of its protocol
#   NAME_told          print the begin of the right answer in hex; ? stands for any digit
#   NAME_ready         ask more of it than an answer when it has started (optional)
#   NAME_url ADDRESS   print what the tests want
#   NAME_stop_signal, NAME_crash_signal
#   NAME_sweep         end what still runs beside a server that has ended (optional)
#   NAME_wipe          remove what is not in its folder (optional)
patience=120 # seconds that a server has to answer

private=${VEDETTE_SERVICES_DIR:-}
dir=$(realpath -m -- "${private:-$root/dev/.data}")
# id tells two folders apart where names are for the whole machine.
# shellcheck disable=SC2034 # the services use it
id=$(cksum <<<"$dir" | cut -d' ' -f1)

say() { printf '%-9s %s\n' "$1:" "$2" >&2; }
fail() { say "$@" && exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
defined() { declare -F "$1" >/dev/null; }

# since prints the seconds since START, which is of $EPOCHREALTIME.
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }'; }

# lock lets one dev/services at a time change the folder. It ends with the process; servers must
# therefore not inherit it (daemon closes it).
lock() {
	mkdir -p "$dir"
	exec 9>"$dir/lock"
	flock -w 900 9 || fail services "another dev/services works on $dir for too long"
}

# daemon runs a program that outlives us and our terminal in the folder $dir/NAME, with its pid in the file
# pid and what it says in the file log.
daemon() {
	local home=$dir/$1
	shift
	(cd "$home" && exec setsid "$@" </dev/null >>log 2>&1 9>&-) &
	echo $! >"$home/pid"
}

variable() { echo "VEDETTE_TEST_${1^^}"; }

# own_url prints the address of the instance of this folder, if there is one.
own_url() {
	local port
	port=$(cat "$dir/$1/port.port" 2>/dev/null) || return 0
	"$1_url" "127.0.0.1:$port"
}

# source_of prints url, docker, debian, or nothing if that is not decided yet. A variable that names our
# own instance was exported from env and decides nothing.
source_of() {
	local var
	var=$(variable "$1")
	if [ -z "$private" ] && [ -n "${!var:-}" ] && [ "${!var}" != "$(own_url "$1")" ]; then
		echo url
	else
		cat "$dir/$1/from" 2>/dev/null || true
	fi
}

url_of() {
	local var
	var=$(variable "$1")
	if [ "$(source_of "$1")" = url ]; then echo "${!var}"; else own_url "$1"; fi
}

# address prints host:port of a service, the first one of several.
address() {
	local url
	url=$(url_of "$1")
	url=${url#*://} url=${url##*@} url=${url%%[/?]*}
	echo "${url%%,*}"
}

# answers tells whether the instance of this folder speaks its protocol.
answers() {
	local port
	[ -e "$dir/$1/from" ] && port=$(cat "$dir/$1/port.port" 2>/dev/null) && speaks "$1" "$port"
}

# speaks sends one request of the protocol and compares the begin of the answer.
speaks() {
	local want got
	want=$("$1_told")
	got=$(
		exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$2" || exit
		"$1_asks" >&3
		timeout 2 head -c $((${#want} / 2)) <&3 | od -An -v -tx1 | tr -d ' \n'
	) || true
	# shellcheck disable=SC2053 # it is a pattern
	[[ $got == $want ]]
}

# listens tells whether somebody accepts connections on host:port.
# shellcheck disable=SC2016 # the inner shell expands
listens() { timeout 3 bash -c 'exec 3<>"/dev/tcp/${1%:*}/${1##*:}"' - "$1" 2>/dev/null; }

reaches() { if [ "$(source_of "$1")" = url ]; then listens "$(address "$1")"; else answers "$1"; fi; }

given_answers() {
	listens "$(address "$1")" && return
	say "$1" "$(variable "$1") names $(address "$1"), where nothing listens"
	return 1
}

# pid_of prints the pid of our running server. A pid file may be older than the machine's last start, so
# the command line must be ours as well.
pid_of() {
	local pid
	case $(cat "$dir/$1/from" 2>/dev/null) in
	docker) docker_pid "$1" ;;
	debian)
		pid=$("$1_pid" 2>/dev/null) || return 0
		if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$("$1_mark")"; then echo "$pid"; fi
		;;
	esac
}

# choose decides from where the named services come, and installs what they need.
choose() {
	local name undecided=() packaged=()
	for name in "$@"; do
		[ -e "$dir/$name/from" ] || undecided+=("$name")
	done
	if [ ${#undecided[@]} -gt 0 ] && docker_serves "${undecided[@]}"; then
		for name in "${undecided[@]}"; do
			decide "$name" docker
		done
	fi
	for name in "$@"; do
		[ "$(cat "$dir/$name/from" 2>/dev/null)" = docker ] || packaged+=("$name")
	done
	[ ${#packaged[@]} -eq 0 ] || install "${packaged[@]}"
}

decide() {
	mkdir -p "$dir/$1"
	echo "$2" >"$dir/$1/from"
}

# start starts one service and waits until it answers.
start() {
	local name=$1 begun=$EPOCHREALTIME from
	! answers "$name" || return 0 # another dev/services was faster
	from=$(cat "$dir/$name/from")
	[ -n "$(pid_of "$name")" ] || sweep "$name"
	reserve "$name"
	say "$name" "starting, from $from"
	if [ "$from" = docker ]; then docker_start "$name"; else debian_start "$name"; fi || {
		complain "$name"
		return 1
	}
	say "$name" "up on $(address "$name") ($(since "$begun"))"
}

debian_start() {
	local name=$1 end=$((SECONDS + patience))
	[ -n "$(pid_of "$name")" ] || "${name}_start" || return
	until answers "$name"; do
		[ $SECONDS -lt $end ] || return
		[ -n "$(pid_of "$name")" ] || kill -0 "$(cat "$dir/$name/pid")" 2>/dev/null || return
		sleep 0.1
	done
	if defined "${name}_ready"; then "${name}_ready"; fi
}

complain() {
	say "$1" "does not answer on $(address "$1"); the end of its log:"
	if [ "$(cat "$dir/$1/from")" = docker ]; then docker_log "$1"; else tail -n 15 "$dir/$1/log"; fi | sed 's/^/    /' >&2
	say "$1" "try dev/services down --wipe $1, or set $(variable "$1")"
}

# signal sends SIG to our server and waits for its end. It fails if there is none.
signal() {
	local name=$1 sig=$2 pid end
	if [ "$(cat "$dir/$name/from" 2>/dev/null)" = docker ]; then
		docker_kill "$name" "$sig"
		return
	fi
	pid=$(pid_of "$name")
	[ -n "$pid" ] || return
	kill -s "$sig" "$pid"
	kill -s CONT "$pid" 2>/dev/null || true # a test may have stopped it
	end=$((SECONDS + 30))
	while [ -n "$(pid_of "$name")" ]; do
		[ $SECONDS -lt $end ] || kill -s KILL "$pid" 2>/dev/null || true
		sleep 0.05
	done
	sweep "$name"
}

sweep() { if defined "$1_sweep"; then "$1_sweep"; fi; }

stop() {
	local begun=$EPOCHREALTIME
	if [ "$(cat "$dir/$1/from" 2>/dev/null)" = docker ]; then
		docker_stop "$1"
	else
		signal "$1" "$("$1_stop_signal")" || return 0
	fi
	say "$1" "down ($(since "$begun"))"
}

# wipe removes what a service left; only a folder that start has made.
wipe() {
	[ -e "$dir/$1/from" ] || return 0
	[ "$(cat "$dir/$1/from")" != docker ] || docker_wipe "$1"
	if defined "$1_wipe"; then "$1_wipe"; fi
	rm -rf "${dir:?}/$1"
	say "$1" "data removed"
}
