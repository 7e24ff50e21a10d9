# shellcheck shell=bash disable=SC2154 # dir is set by service.sh
# Apache Kafka, one node that is broker and controller, from its own jars on Maven Central.
kafka_version=4.4.0
log4j_version=2.25.5 # of the log4j-core that Kafka brings
maven_plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1
kafka_jars=${XDG_CACHE_HOME:-${HOME:-~}/.cache}/vedette/kafka-$kafka_version

kafka_packages() {
	has java || echo default-jre-headless
	[ -d "$kafka_jars" ] || has mvn || echo maven
	has kcat || echo kcat # a peer in tests
}

kafka_ports() { echo port controller; }
kafka_url() { echo "$1"; }
kafka_pid() { cat "$dir/kafka/pid"; }
kafka_mark() { echo "kafka.Kafka $dir/kafka/server.properties"; }
kafka_stop_signal() { echo TERM; }
kafka_crash_signal() { echo KILL; }

# ApiVersions, version 0, correlation 0x01020304, no client id.
kafka_asks() { printf '\0\0\0\x0a\0\x12\0\0\1\2\3\4\xff\xff'; }
kafka_told() { echo '????????010203040000'; }

# kafka_fetch asks Maven for the server, all that it needs at run time, and what writes its log.
kafka_fetch() {
	local begun=$EPOCHREALTIME new=$kafka_jars.$$
	[ ! -d "$kafka_jars" ] || return 0
	say kafka "fetching the jars of Kafka $kafka_version"
	mkdir -p "$new"
	kafka_pom >"$new/pom.xml"
	mvn -B -q -Dstyle.color=never -f "$new/pom.xml" "$maven_plugin:copy-dependencies" -DincludeScope=runtime \
		-DoutputDirectory="$new" >"$dir/mvn.log" 2>&1 9>&- || {
		say kafka "Maven failed; the end of $dir/mvn.log:"
		tail -n 10 "$dir/mvn.log" | sed 's/^/    /' >&2
		rm -rf "$new"
		return 1
	}
	# Another clone may have been faster.
	mv -T "$new" "$kafka_jars" 2>/dev/null || rm -rf "$new"
	say kafka "fetched ($(since "$begun"))"
}

kafka_pom() {
	cat <<-END
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>vedette</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
		  <dependencies>
		    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
		      <version>$kafka_version</version></dependency>
		    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
		      <version>$log4j_version</version></dependency>
		  </dependencies>
		</project>
	END
}

kafka_start() {
	local home=$dir/kafka
	kafka_properties >"$home/server.properties"
	kafka_logging >"$home/log4j2.properties"
	if [ ! -e "$home/data/meta.properties" ]; then
		kafka_java -Xmx128m kafka.tools.StorageTool format -t "$(kafka_id)" -c "$home/server.properties" \
			>"$home/log" 2>&1 || return
	fi
	daemon kafka java -Xms256m -Xmx768m -Djava.awt.headless=true -cp "$kafka_jars/*" \
		"-Dlog4j2.configurationFile=$home/log4j2.properties" kafka.Kafka "$home/server.properties"
}

kafka_java() { java -cp "$kafka_jars/*" "$@"; }

# kafka_id makes up the id of a cluster: 16 bytes in base64url, which must not begin with a dash.
kafka_id() { head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | cut -c -22; }

# kafka_properties: one node, everything kept, groups that form at once, and sessions that tests may keep
# short. A crashed broker may come back when its session with the controller has ended.
kafka_properties() {
	cat <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$(port kafka controller)
		listeners=PLAINTEXT://127.0.0.1:$(port kafka),CONTROLLER://127.0.0.1:$(port kafka controller)
		advertised.listeners=PLAINTEXT://127.0.0.1:$(port kafka)
		controller.listener.names=CONTROLLER
		listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
		log.dirs=$dir/kafka/data
		log.retention.hours=8760
		log.retention.bytes=-1
		auto.create.topics.enable=false
		num.partitions=4
		offsets.topic.num.partitions=4
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=4
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.num.partitions=4
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
		group.min.session.timeout.ms=1000
		group.consumer.min.session.timeout.ms=1000
		group.consumer.min.heartbeat.interval.ms=200
		broker.heartbeat.interval.ms=500
		broker.session.timeout.ms=4000
		num.network.threads=2
		num.io.threads=4
	END
}

kafka_logging() {
	cat <<-'END'
		rootLogger.level = INFO
		rootLogger.appenderRef.out.ref = out
		appender.out.type = Console
		appender.out.name = out
		appender.out.layout.type = PatternLayout
		appender.out.layout.pattern = %d %p %m (%c{1})%n
	END
}
