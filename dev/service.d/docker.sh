# shellcheck shell=bash disable=SC2154 # root, dir, id and patience are set by dev/services
# The same services from deploy/compose/compose.yaml, one Compose project a folder.

compose() {
	local name port
	for name in "${known[@]}"; do
		if port=$(port "$name" 2>/dev/null); then export "VEDETTE_${name^^}_PORT=$port"; fi
	done
	docker compose -p "vedette-$id" -f "$root/deploy/compose/compose.yaml" "$@" 9>&-
}

# docker_serves tells whether a daemon answers and gets the images of the named services.
docker_serves() {
	has docker && timeout 10 docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1 || return
	compose pull -q --policy missing "$@" >/dev/null 2>&1 || {
		say docker "cannot get the images of $*"
		return 1
	}
}

docker_start() { compose up -d --no-deps --wait --wait-timeout "$patience" "$1" >/dev/null 2>&1 && answers "$1"; }
docker_log() { compose logs --no-color --no-log-prefix -n 15 "$1" 2>&1; }
docker_stop() { compose stop "$1" >/dev/null 2>&1; }
docker_wipe() { compose rm -fsv "$1" >/dev/null 2>&1 && docker volume rm -f "vedette-${id}_$1" >/dev/null; }

docker_kill() { [ -n "$(docker_pid "$1")" ] && compose kill -s "$2" "$1" >/dev/null 2>&1; }

# docker_pid prints the pid of the container's first process, as the daemon's machine sees it.
docker_pid() {
	local container
	container=$(compose ps -q "$1" 2>/dev/null)
	[ -z "$container" ] || docker inspect -f '{{if .State.Running}}{{.State.Pid}}{{end}}' "$container"
}
