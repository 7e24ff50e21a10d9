# shellcheck shell=bash disable=SC2154 # dir is set by service.sh
# Redis, as a queue wants it: every write in the log, and nothing evicted.

redis_packages() { has redis-server || echo redis-server; }
redis_ports() { echo port; }
redis_url() { echo "redis://$1/0"; }
redis_pid() { cat "$dir/redis/pid"; }
redis_mark() { echo "redis-server 127.0.0.1:$(port redis)"; }
redis_asks() { printf 'PING\r\n'; }
redis_told() { echo 2b504f4e47; } # +PONG
redis_stop_signal() { echo TERM; }
redis_crash_signal() { echo KILL; }

redis_start() {
	mkdir -p "$dir/redis/data"
	daemon redis redis-server --bind 127.0.0.1 --port "$(port redis)" --dir "$dir/redis/data" \
		--appendonly yes --maxmemory-policy noeviction
}
