# shellcheck shell=bash disable=SC2154 # dir and id are set by service.sh
# RabbitMQ, with a node name, cookie and Erlang port mapper of its own, so that no other node is disturbed.

rabbitmq_bin=/usr/lib/rabbitmq/bin

rabbitmq_packages() {
	[ -x $rabbitmq_bin/rabbitmq-server ] || echo rabbitmq-server
	has pgrep || echo procps
}
rabbitmq_ports() { echo port node mapper; }
rabbitmq_url() { echo "amqp://vedette:vedette@$1/"; }
rabbitmq_pid() { cat "$dir/rabbitmq/node.pid"; }
rabbitmq_mark() { echo "-home $dir/rabbitmq "; }
rabbitmq_asks() { printf 'AMQP\0\0\x09\1'; }
rabbitmq_told() { echo 010000; } # a method frame on channel 0: connection.start
rabbitmq_stop_signal() { echo TERM; }
rabbitmq_crash_signal() { echo KILL; }

# rabbitmq_env exports what makes RabbitMQ's programs, rabbitmqctl too, speak of our node.
rabbitmq_env() {
	export HOME=$dir/rabbitmq
	export ERL_EPMD_ADDRESS=127.0.0.1
	export ERL_EPMD_PORT RABBITMQ_DIST_PORT
	ERL_EPMD_PORT=$(port rabbitmq mapper)
	RABBITMQ_DIST_PORT=$(port rabbitmq node)
	export RABBITMQ_NODENAME=vedette-$id@localhost
	export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
	export RABBITMQ_CONF_ENV_FILE=/dev/null
	export RABBITMQ_CONFIG_FILE=$HOME/rabbitmq.conf
	export RABBITMQ_ENABLED_PLUGINS_FILE=$HOME/plugins
	export RABBITMQ_MNESIA_BASE=$HOME/data
	export RABBITMQ_LOG_BASE=$HOME/data
	export RABBITMQ_LOGS=- # to $dir/rabbitmq/log, as all
	export RABBITMQ_PID_FILE=$HOME/node.pid
}

rabbitmq_start() {
	local home=$dir/rabbitmq
	mkdir -p "$home/data"
	echo '[].' >"$home/plugins"
	cat >"$home/rabbitmq.conf" <<-END
		listeners.tcp.1 = 127.0.0.1:$(port rabbitmq)
		default_user = vedette
		default_pass = vedette
	END
	rm -f "$home/node.pid"
	# Started here, the mapper is known to be ours to end.
	daemon rabbitmq epmd -address 127.0.0.1 -port "$(port rabbitmq mapper)"
	(rabbitmq_env && daemon rabbitmq "$rabbitmq_bin/rabbitmq-server")
}

# rabbitmq_mapper prints the pid of our port mapper.
rabbitmq_mapper() {
	[ -e "$dir/rabbitmq/mapper.port" ] &&
		pgrep -u "$UID" -fx -- "epmd -address 127.0.0.1 -port $(port rabbitmq mapper)"
}

rabbitmq_sweep() {
	local pid
	while pid=$(rabbitmq_mapper); do
		kill "$pid" && sleep 0.05
	done
}
