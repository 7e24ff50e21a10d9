# shellcheck shell=bash disable=SC2154 # dir and id are set by service.sh
# PostgreSQL, newest installed version. It refuses to run as root and then runs as Debian's user postgres.

postgres_bin() {
	local bin
	bin=$(find /usr/lib/postgresql/*/bin/postgres 2>/dev/null | sort -V | tail -n 1)
	[ -n "$bin" ] && dirname "$bin"
}

postgres_packages() { postgres_bin >/dev/null || echo postgresql; }
postgres_ports() { echo port; }
postgres_url() { echo "postgres://vedette:vedette@$1/vedette?sslmode=disable"; }
postgres_pid() { head -n 1 "$(postgres_home)/data/postmaster.pid"; }
postgres_mark() { echo "-D $(postgres_home)/data"; }
postgres_stop_signal() { echo INT; }
postgres_crash_signal() { echo QUIT; }

# The start packet of protocol 3.0 for user vedette. A server that is starting up answers E, not R; all of
# R is read, because the server logs an answer that was not.
postgres_asks() { printf '\0\0\0\x16\0\3\0\0user\0vedette\0\0'; }
postgres_told() { printf '52%046d' 0 | tr 0 '?'; }

postgres_run() {
	if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# postgres_home prints the folder of data and socket: ours if the server's user may enter it and the path of
# a socket in it is not too long for Unix, else one that is named after ours.
postgres_home() {
	if [ ${#dir} -lt 75 ] && postgres_run test -x "$dir/postgres"; then
		echo "$dir/postgres"
	else
		echo "/var/tmp/vedette-$id-postgres"
	fi
}

postgres_start() {
	local home bin pid
	home=$(postgres_home) bin=$(postgres_bin)
	mkdir -p "$home" && : >>"$home/server.log"
	[ "$(id -u)" -ne 0 ] || chown postgres: "$home" "$home/server.log"
	ln -sf "$home/server.log" "$dir/postgres/log"
	[ -s "$home/data/PG_VERSION" ] || postgres_init "$home" "$bin" || return
	postgres_settings "$home" "$bin"
	# The pid of the last life may by now be of a stranger, for whom the server would take it for running.
	pid=$(postgres_pid 2>/dev/null) && [ -d "/proc/$pid" ] && rm -f "$home/data/postmaster.pid"
	postgres_run "$bin/pg_ctl" -D "$home/data" -l "$home/server.log" -w -t "$patience" start >/dev/null 2>&1 9>&-
}

postgres_init() {
	rm -rf "$1/new"
	echo vedette >"$1/password"
	{
		postgres_run "$2/initdb" -D "$1/new" -U vedette --pwfile="$1/password" --auth-local=trust \
			--auth-host=scram-sha-256 --encoding=UTF8 --locale=C &&
			echo 'create database vedette' | postgres_run "$2/postgres" --single -D "$1/new" postgres
	} >>"$1/server.log" 2>&1 && rm "$1/password" && mv "$1/new" "$1/data"
}

# postgres_settings: as safe as in production, roomy enough for the benchmarks.
postgres_settings() {
	local compression=on
	[ "$(cat "$1/data/PG_VERSION")" -lt 15 ] || compression=lz4
	cat >"$1/data/postgresql.auto.conf" <<-END
		listen_addresses = '127.0.0.1'
		port = $(port postgres)
		unix_socket_directories = '$1'
		unix_socket_permissions = 0700
		max_connections = 200
		shared_buffers = 512MB
		max_wal_size = 4GB
		checkpoint_timeout = 15min
		wal_compression = $compression
		fsync = on
		synchronous_commit = on
		random_page_cost = 1.1
		timezone = 'UTC'
		log_timezone = 'UTC'
		log_line_prefix = '%m [%p] %u@%d '
	END
}

postgres_ready() { [ "$("$(postgres_bin)/psql" -X -t -A -c 'select 1' "$(own_url postgres)" 2>>"$dir/postgres/log")" = 1 ]; }

postgres_wipe() {
	rm -rf "/var/tmp/vedette-$id-postgres"
}
