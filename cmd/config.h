// The configuration of `ostraka server`: one table of settings, each of them a flag, an environment variable
// and a key of the TOML file, in that order of strength. docs/configuration.md lists them for people; a test
// keeps the two in step.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "cluster/topology.h"
#include "erasure/codec.h"
#include "net/address.h"
#include "runtime/fs.h"

namespace ostraka::cmd {

struct HostPort {
  std::string host;  // an IP address; without brackets
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};
std::string to_string(const HostPort& address);  // "127.0.0.1:9000", "[::1]:9000"

// Where the documents about buckets and placement are kept.
struct ControlStoreConfig {
  std::vector<net::HostPort> etcd;  // its members; empty: on the node's own drives
  bool etcd_tls = false;
  std::string cluster = "default";  // the store's name in etcd
  std::string certs_dir;            // for etcd over TLS; empty: the system's authorities
  std::string user;                 // of etcd; empty: none
  std::string password;             // OSTRAKA_CONTROL_PASSWORD: never printed
};

struct ServerConfig {
  std::vector<std::string> drives;                // folders or URLs, expanded
  std::vector<cluster::DriveUrl> cluster_drives;  // the same; empty: they are folders of the only node
  HostPort address{"127.0.0.1", 9000};
  bool address_given = false;  // a node of a cluster is reached on all addresses unless it is told otherwise
  HostPort console_address{"127.0.0.1", 9001};
  std::optional<erasure::Geometry> erasure_set;  // none: what the deployment has, or by the number of drives
  std::string region = "us-east-1";
  std::string domain;             // for virtual-host style requests; empty: path style only
  std::string tls_certs_dir;      // empty: plain HTTP
  std::string cluster_certs_dir;  // empty: no peers
  std::optional<unsigned>
      reduced_parity;    // parity shards of REDUCED_REDUNDANCY; none: half of the set's parity
  unsigned threads = 0;  // 0: one for each CPU this process may use
  std::uint64_t requests_max = 512;
  bool s3_probes = true;  // health and metrics on the S3 address, too
  std::chrono::milliseconds request_timeout{30'000};
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds shutdown_timeout{30'000};
  std::chrono::milliseconds shutdown_delay{5'000};  // of a node of a cluster
  std::uint64_t buffer_memory_bytes = 192ULL << 20;
  std::uint64_t index_memory_bytes = 96ULL << 20;
  std::chrono::hours scanner_period{14 * 24};  // zero: only on demand
  ControlStoreConfig control_store;
  log::Level log_level = log::Level::info;
  bool access_log = true;
  std::string root_user;      // OSTRAKA_ROOT_USER
  std::string root_password;  // OSTRAKA_ROOT_PASSWORD: never printed
};

// One setting. Its flag is --api-requests-max and its variable OSTRAKA_API_REQUESTS_MAX for the name
// api.requests_max.
struct Setting {
  std::string_view name;
  std::string_view help;
  std::string_view fallback;                                   // what holds when nothing is said, for people
  std::string_view allowed;                                    // completes "... is not allowed here: "
  bool (*apply)(ServerConfig& config, std::string_view text);  // false: not an allowed value
};
std::span<const Setting> settings();
std::string flag_of(std::string_view name);
std::string variable_of(std::string_view name);

// Where values come from. Flags and file win over nothing else than what stands below them.
struct ConfigSources {
  std::map<std::string, std::string, std::less<>> flags;  // by setting name; only those that were given
  std::vector<std::string> drives;                        // DRIVE arguments, patterns
  std::string file;                                       // --config; empty: none
  std::function<std::optional<std::string>(const std::string&)> variable;
};

// Errors: invalid_argument, with a message that names the setting, its value, what is allowed and where the
// value came from.
Result<ServerConfig> load_config(Fs& fs, const ConfigSources& sources);
// Of the settings control.* alone, from flags and variables: for commands.
Result<ControlStoreConfig> load_control_store_config(const ConfigSources& sources);
bool is_of_control_store(const Setting& setting);

}  // namespace ostraka::cmd
