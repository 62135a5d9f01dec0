//! What the directives mean for the core and for the bus.

use slotproof_model::{Address, Config, EndpointType, Rules};

use crate::server::Server;

/// The port of the cluster bus; none if it is out of range.
pub(super) fn bus_port(server: &Server) -> Option<u16> {
    match server.config.int("cluster-port") {
        0 => server.port.checked_add(10_000),
        port => u16::try_from(port).ok(),
    }
}

/// What the core reads of the configuration.
pub(super) fn core_config(server: &Server) -> Config {
    let config = &server.config;
    let port = |name: &str, default: u16| {
        u16::try_from(config.int(name)).ok().filter(|&p| p != 0).unwrap_or(default)
    };
    let hostname = config.text("cluster-announce-hostname");
    Config {
        announce: Address {
            ip: config.text("cluster-announce-ip").into(),
            port: port("cluster-announce-port", server.port),
            pport: 0,
            cport: port("cluster-announce-bus-port", bus_port(server).unwrap_or(0)),
        },
        hostname: (!hostname.is_empty()).then(|| hostname.into()),
        require_full_coverage: config.yes("cluster-require-full-coverage"),
        allow_replica_migration: config.yes("cluster-allow-replica-migration"),
        replica_no_failover: config.yes("cluster-replica-no-failover"),
        allow_reads_when_down: config.yes("cluster-allow-reads-when-down"),
        allow_pubsubshard_when_down: config.yes("cluster-allow-pubsubshard-when-down"),
        endpoint: match &*config.text("cluster-preferred-endpoint-type") {
            "hostname" => EndpointType::Hostname,
            "unknown-endpoint" => EndpointType::Unknown,
            _ => EndpointType::Ip,
        },
        rules: Rules::named(&config.text("cluster-rules")).unwrap_or_default(),
        ..Config::default()
    }
}
