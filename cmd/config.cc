#include "cmd/config.h"

#include <fmt/format.h>

#include <array>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <boost/asio/ip/address.hpp>

#include "base/check.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "cmd/drive_pattern.h"

namespace ostraka::cmd {
namespace {

constexpr std::size_t kMaxConfigBytes = 1U << 20;
constexpr std::size_t kMinUserBytes = 3;
constexpr std::size_t kMinPasswordBytes = 8;
constexpr std::size_t kMaxEtcdMembers = 16;

std::optional<HostPort> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const auto port = parse_u64(text.substr(colon + 1));
  if (!port || *port > 65535) return std::nullopt;
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 address without brackets is ambiguous
  }
  std::string name{host == "localhost" ? "127.0.0.1" : host.empty() ? "0.0.0.0" : host};
  boost::system::error_code error;
  boost::asio::ip::make_address(name, error);
  if (error) return std::nullopt;
  return HostPort{std::move(name), static_cast<std::uint16_t>(*port)};
}

// A number and one of the units; the bare number counts in units of 1.
template <std::size_t N>
std::optional<std::uint64_t> parse_with_unit(
    std::string_view text, const std::array<std::pair<std::string_view, std::uint64_t>, N>& units) {
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  const auto number = parse_u64(text.substr(0, digits));
  if (!number) return std::nullopt;
  const std::string_view unit = trim(text.substr(digits));
  for (const auto& [name, factor] : units) {
    if (unit != name) continue;
    if (*number > ~0ULL / factor) return std::nullopt;
    return *number * factor;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 4> kUnits{
      {{"", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}}};
  return parse_with_unit(text, kUnits);
}

bool set_bytes(std::uint64_t& out, std::string_view text, std::uint64_t min, std::uint64_t max) {
  const auto bytes = parse_bytes(text);
  if (!bytes || *bytes < min || *bytes > max) return false;
  out = *bytes;
  return true;
}

bool set_duration(std::chrono::milliseconds& out, std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 3> kUnits{
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}}};
  const auto ms = parse_with_unit(text, kUnits);
  if (!ms || *ms < 100 || *ms > 3'600'000) return false;
  out = std::chrono::milliseconds(*ms);
  return true;
}

bool set_delay(std::chrono::milliseconds& out, std::string_view text) {
  if (text != "0" && text != "0s") return set_duration(out, text);
  out = std::chrono::milliseconds(0);
  return true;
}

bool set_period(std::chrono::hours& out, std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 2> kUnits{{{"h", 1}, {"d", 24}}};
  if (text == "0" || text == "off" || text == "false") {
    out = std::chrono::hours(0);
    return true;
  }
  const auto hours = parse_with_unit(text, kUnits);
  if (!hours || *hours < 1 || *hours > 366 * 24) return false;
  out = std::chrono::hours(*hours);
  return true;
}

template <class T>
bool set_number(T& out, std::string_view text, std::uint64_t min, std::uint64_t max) {
  const auto number = parse_u64(text);
  if (!number || *number < min || *number > max) return false;
  out = static_cast<T>(*number);
  return true;
}

bool set_address(HostPort& out, std::string_view text) {
  auto address = parse_host_port(text);
  if (!address) return false;
  out = std::move(*address);
  return true;
}

bool set_erasure_set(ServerConfig& config, std::string_view text) {
  const auto plus = text.find('+');
  if (plus == std::string_view::npos) return false;
  const auto data = parse_u64(text.substr(0, plus)), parity = parse_u64(text.substr(plus + 1));
  if (!data || !parity || *data > kMaxDataShards || *parity > kMaxParityShards) return false;
  const auto geometry = erasure::make_geometry(static_cast<unsigned>(*data), static_cast<unsigned>(*parity));
  if (!geometry) return false;
  config.erasure_set = *geometry;
  return true;
}

bool is_region(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  for (const char c : text) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return true;
}

bool is_domain(std::string_view text) {
  if (text.size() > 253 || (!text.empty() && (text.front() == '.' || text.back() == '.'))) return false;
  for (const char c : text) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) return false;
  }
  return true;
}

bool set_control_store(ControlStoreConfig& out, std::string_view text) {
  constexpr std::string_view kPlain = "etcd://", kTls = "etcds://";
  out.etcd.clear();
  out.etcd_tls = text.starts_with(kTls);
  if (text == "embedded") return true;
  if (!out.etcd_tls && !text.starts_with(kPlain)) return false;
  text.remove_prefix(out.etcd_tls ? kTls.size() : kPlain.size());
  for (;;) {
    const auto end = text.find(',');
    auto member = net::parse_host_port(text.substr(0, end));
    if (!member || member->host.empty() || member->port == 0 || out.etcd.size() == kMaxEtcdMembers)
      return false;
    out.etcd.push_back(std::move(*member));
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

bool set_log_level(log::Level& out, std::string_view text) {
  static constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warn", "error"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (text != kNames[i]) continue;
    out = static_cast<log::Level>(i);
    return true;
  }
  return false;
}

bool set_switch(bool& out, std::string_view text) {
  if (text == "on" || text == "true") {
    out = true;
  } else if (text == "off" || text == "false") {
    out = false;
  } else {
    return false;
  }
  return true;
}

using C = ServerConfig;
using Text = std::string_view;
constexpr std::string_view kAddressRule =
    "an IP address (or localhost) and a port, for example 127.0.0.1:9000, [::1]:9000 or :9000 for all";
constexpr std::string_view kDurationRule = "a time from 100ms to 60m, for example 30s";
constexpr Setting kSettings[] = {
    {"address", "where S3 is served", "127.0.0.1:9000; of a node of a cluster its port, on all addresses",
     kAddressRule, [](C& c, Text t) { return set_address(c.address, t) && (c.address_given = true); }},
    {"console_address", "where the status page, health and metrics are served, without authentication",
     "127.0.0.1:9001", kAddressRule, [](C& c, Text t) { return set_address(c.console_address, t); }},
    {"erasure_set", "data and parity shards of each object, fixed when the drives are first used",
     "by the number of drives: 1+0, 1+1, 2+1, 2+2, 3+2, 4+2, 5+2, 4+4, 5+4, ...",
     "K+M with K from 1 to 16 and M at most K, for example 4+2", set_erasure_set},
    {"region", "the region that clients sign for", "us-east-1",
     "lower-case letters, digits and '-', at most 64",
     [](C& c, Text t) { return is_region(t) && (c.region = t, true); }},
    {"domain", "the domain of virtual-host style requests (BUCKET.DOMAIN)", "none: path style only",
     "a domain name in lower case", [](C& c, Text t) { return is_domain(t) && (c.domain = t, true); }},
    {"tls.certs_dir", "a folder with public.crt and private.key; read again when they change",
     "none: plain HTTP", "a folder", [](C& c, Text t) { return (c.tls_certs_dir = t, true); }},
    {"cluster.certs_dir",
     "a folder with ca.crt, node.crt and node.key, with which the nodes of a cluster know each other; read "
     "again when they change",
     "none: one node", "a folder", [](C& c, Text t) { return (c.cluster_certs_dir = t, true); }},
    {"cluster.shutdown_delay",
     "how long a node of a cluster that gets SIGTERM says that it is not ready and serves on, for load "
     "balancers to notice",
     "5s", "0, or a time from 100ms to 60m, for example 5s",
     [](C& c, Text t) { return set_delay(c.shutdown_delay, t); }},
    {"storage.reduced_parity", "parity shards of objects of the storage class REDUCED_REDUNDANCY",
     "half of the set's parity, rounded down, but not 0",
     "a whole number from 1 to the parity of erasure_set",
     [](C& c, Text t) { return set_number(c.reduced_parity.emplace(), t, 1, kMaxParityShards); }},
    {"threads", "threads that serve requests", "one for each CPU this process may use",
     "a whole number from 1 to 256", [](C& c, Text t) { return set_number(c.threads, t, 1, 256); }},
    {"api.requests_max", "requests in flight; more are answered 503 SlowDown", "512",
     "a whole number from 1 to 100000",
     [](C& c, Text t) { return set_number(c.requests_max, t, 1, 100'000); }},
    {"api.probes",
     "whether health and metrics also answer on the S3 address, unsigned and without folder names", "on",
     "on or off", [](C& c, Text t) { return set_switch(c.s3_probes, t); }},
    {"api.request_timeout",
     "time for the drives to answer, and for a client to send the next 64 KiB or take the next bytes", "30s",
     kDurationRule, [](C& c, Text t) { return set_duration(c.request_timeout, t); }},
    {"api.header_timeout", "time to send the head of a request", "10s", kDurationRule,
     [](C& c, Text t) { return set_duration(c.header_timeout, t); }},
    {"api.idle_timeout", "how long a connection may wait for its next request", "60s", kDurationRule,
     [](C& c, Text t) { return set_duration(c.idle_timeout, t); }},
    {"api.shutdown_timeout", "time for requests under way to finish on SIGTERM", "30s", kDurationRule,
     [](C& c, Text t) { return set_duration(c.shutdown_timeout, t); }},
    {"memory.buffers", "memory for object data on its way, all threads together", "192MiB",
     "bytes with KiB, MiB or GiB, from 32MiB to 64GiB",
     [](C& c, Text t) { return set_bytes(c.buffer_memory_bytes, t, 32ULL << 20, 64ULL << 30); }},
    {"memory.index", "memory for the indexes of all drives together", "96MiB",
     "bytes with KiB, MiB or GiB, from 16MiB to 256GiB",
     [](C& c, Text t) { return set_bytes(c.index_memory_bytes, t, 16ULL << 20, 256ULL << 30); }},
    {"scanner.period", "the time in which every shard of every object is read and verified once", "14d",
     "a time from 1h to 366d, for example 14d; off: only on demand",
     [](C& c, Text t) { return set_period(c.scanner_period, t); }},
    {"control.store", "where the documents about buckets and placement are kept", "embedded",
     "embedded (on the drives), or etcd://HOST:PORT,HOST:PORT,... (etcds:// over TLS), at most 16 members",
     [](C& c, Text t) { return set_control_store(c.control_store, t); }},
    {"control.cluster", "the name of the store, where several share one etcd", "default",
     "lower-case letters, digits and '-', at most 64",
     [](C& c, Text t) { return is_region(t) && (c.control_store.cluster = t, true); }},
    {"control.certs_dir",
     "a folder with ca.crt, the authority of etcd's certificates, and where etcd asks for one, with "
     "public.crt and private.key",
     "none: the authorities that the system trusts", "a folder",
     [](C& c, Text t) { return (c.control_store.certs_dir = t, true); }},
    {"control.user", "who this server is to etcd; the password comes from OSTRAKA_CONTROL_PASSWORD",
     "none: etcd asks nobody", "at most 128 characters",
     [](C& c, Text t) { return t.size() <= 128 && (c.control_store.user = t, true); }},
    {"log.level", "the least serious lines that are logged", "info", "debug, info, warn or error",
     [](C& c, Text t) { return set_log_level(c.log_level, t); }},
    {"log.access", "whether each request is logged", "on", "on or off",
     [](C& c, Text t) { return set_switch(c.access_log, t); }},
};

Result<> apply(ServerConfig& config, const Setting& setting, std::string_view text,
               const std::string& origin) {
  if (setting.apply(config, text)) return {};
  return fail(Errc::invalid_argument, fmt::format("setting {} (from {}): \"{}\" is not allowed here: {}",
                                                  setting.name, origin, text, setting.allowed));
}

const Setting* find_setting(std::string_view name) {
  for (const Setting& setting : kSettings) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

// A scalar of the file as the text a flag would have carried.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (auto text = node.value_exact<std::string>()) return text;
  if (const auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  return std::nullopt;
}

Result<> apply_table(ServerConfig& config, const toml::table& table, const std::string& prefix,
                     const std::string& file, std::vector<std::string>& drives) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const toml::table* inner = node.as_table(); inner != nullptr && prefix.empty()) {
      TRY_VOID(apply_table(config, *inner, name + ".", file, drives));
      continue;
    }
    const std::string origin = fmt::format("{} line {}", file, node.source().begin.line);
    if (name == "drives") {
      const toml::array* list = node.as_array();
      bool good = list != nullptr;
      for (std::size_t i = 0; good && i < list->size(); ++i) {
        const auto drive = list->get(i)->value_exact<std::string>();
        good = drive.has_value();
        if (good) drives.push_back(*drive);
      }
      if (good) continue;
      return fail(Errc::invalid_argument,
                  fmt::format("setting drives (from {}): it must be a list of strings, for example "
                              "[\"/mnt/d{{1...6}}\"]",
                              origin));
    }
    const Setting* setting = find_setting(name);
    if (setting == nullptr) {
      return fail(
          Errc::invalid_argument,
          fmt::format("setting {} (from {}): there is no such setting; docs/configuration.md lists them",
                      name, origin));
    }
    const auto text = scalar_text(node);
    if (!text) {
      return fail(Errc::invalid_argument,
                  fmt::format("setting {} (from {}): it must be a string, a whole number or a boolean: {}",
                              name, origin, setting->allowed));
    }
    TRY_VOID(apply(config, *setting, *text, origin));
  }
  return {};
}

Result<> apply_file(Fs& fs, ServerConfig& config, const std::string& file, std::vector<std::string>& drives) {
  auto content = fs.read_file(file, kMaxConfigBytes);
  if (!content) {
    return fail(Errc::invalid_argument, fmt::format("--config {}: {}", file, content.error().detail));
  }
  const toml::parse_result parsed = toml::parse(*content, file);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return fail(Errc::invalid_argument,
                fmt::format("--config {} line {}: {}", file, error.source().begin.line, error.description()));
  }
  return apply_table(config, parsed.table(), "", file, drives);
}

std::vector<std::string> split_at_blanks(std::string_view text) {
  std::vector<std::string> out;
  while (!(text = trim(text)).empty()) {
    const auto end = std::min(text.find(' '), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

Result<> take_credential(ServerConfig& config, const ConfigSources& sources) {
  config.root_user = sources.variable("OSTRAKA_ROOT_USER").value_or("");
  config.root_password = sources.variable("OSTRAKA_ROOT_PASSWORD").value_or("");
  if (config.root_user.empty() || config.root_password.empty()) {
    return fail(
        Errc::invalid_argument,
        fmt::format(
            "{} is not set: give the root access key in OSTRAKA_ROOT_USER (at least {} characters) and its "
            "secret in OSTRAKA_ROOT_PASSWORD (at least {}). There is no default",
            config.root_user.empty() ? "OSTRAKA_ROOT_USER" : "OSTRAKA_ROOT_PASSWORD", kMinUserBytes,
            kMinPasswordBytes));
  }
  // The access key stands in the Authorization header between '=' and '/'.
  bool user_fits = config.root_user.size() >= kMinUserBytes && config.root_user.size() <= 128;
  for (const char c : config.root_user)
    user_fits = user_fits && c > ' ' && c < 0x7f && c != '/' && c != ',' && c != '=';
  if (!user_fits) {
    return fail(
        Errc::invalid_argument,
        fmt::format(
            "OSTRAKA_ROOT_USER: it must have {} to 128 printable characters without blanks, '/', ',' and '='",
            kMinUserBytes));
  }
  if (config.root_password.size() < kMinPasswordBytes || config.root_password.size() > 128) {
    return fail(Errc::invalid_argument,
                fmt::format("OSTRAKA_ROOT_PASSWORD: it must have {} to 128 characters", kMinPasswordBytes));
  }
  return {};
}

Result<> take_control_password(ControlStoreConfig& config, const ConfigSources& sources) {
  config.password = sources.variable("OSTRAKA_CONTROL_PASSWORD").value_or("");
  if (config.user.empty() == config.password.empty()) return {};
  return fail(Errc::invalid_argument, config.user.empty()
                                          ? "OSTRAKA_CONTROL_PASSWORD is set, and setting control.user is not"
                                          : "setting control.user: OSTRAKA_CONTROL_PASSWORD is not set");
}

Result<> check_cluster(const ServerConfig& config) {
  if (config.cluster_drives.empty()) return {};
  const auto missing = [&](std::string_view setting, std::string_view why) {
    return fail(Errc::invalid_argument,
                fmt::format("setting {}: it is not given, and {} is a drive of a cluster: {}. See "
                            "docs/cluster.md",
                            setting, config.drives.front(), why));
  };
  if (config.control_store.etcd.empty())
    return missing("control.store", "its nodes agree in etcd, --control-store etcd://HOST:PORT,...");
  if (config.cluster_certs_dir.empty())
    return missing("cluster.certs_dir",
                   "its nodes know each other by certificates, which `ostraka admin certs` makes");
  return {};
}

// What one setting alone cannot tell.
Result<> check_together(const ServerConfig& config) {
  if (config.address == config.console_address && config.address.port != 0) {
    return fail(
        Errc::invalid_argument,
        fmt::format("setting console_address: {} is the address of S3 already", to_string(config.address)));
  }
  TRY_VOID(check_cluster(config));
  if (!config.erasure_set) return {};
  if (config.drives.size() < config.erasure_set->drives()) {
    return fail(Errc::invalid_argument,
                fmt::format("setting erasure_set: {}+{} needs at least {} drives, and {} are given",
                            config.erasure_set->data_shards, config.erasure_set->parity_shards,
                            config.erasure_set->drives(), config.drives.size()));
  }
  if (config.reduced_parity && *config.reduced_parity > config.erasure_set->parity_shards) {
    return fail(Errc::invalid_argument,
                fmt::format("setting storage.reduced_parity: {} is more than the {} of erasure_set",
                            *config.reduced_parity, config.erasure_set->parity_shards));
  }
  return {};
}

}  // namespace

std::string to_string(const HostPort& address) {
  return address.host.find(':') == std::string::npos ? fmt::format("{}:{}", address.host, address.port)
                                                     : fmt::format("[{}]:{}", address.host, address.port);
}

std::span<const Setting> settings() {
  return kSettings;
}

std::string flag_of(std::string_view name) {
  std::string out = "--";
  for (const char c : name) out += c == '.' || c == '_' ? '-' : c;
  return out;
}

std::string variable_of(std::string_view name) {
  std::string out = "OSTRAKA_";
  for (const char c : name)
    out += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

Result<ServerConfig> load_config(Fs& fs, const ConfigSources& sources) {
  ServerConfig config;
  std::vector<std::string> patterns;
  if (!sources.file.empty()) TRY_VOID(apply_file(fs, config, sources.file, patterns));
  for (const Setting& setting : kSettings) {
    const std::string variable = variable_of(setting.name);
    if (const auto text = sources.variable(variable)) TRY_VOID(apply(config, setting, *text, variable));
  }
  if (const auto text = sources.variable("OSTRAKA_DRIVES")) patterns = split_at_blanks(*text);
  for (const auto& [name, text] : sources.flags) {
    const Setting* setting = find_setting(name);
    CHECK(setting != nullptr);
    TRY_VOID(apply(config, *setting, text, flag_of(name)));
  }
  if (!sources.drives.empty()) patterns = sources.drives;
  TRY(drives, expand_drives(patterns));
  config.drives = std::move(drives);
  TRY(of_nodes, drives_of_nodes(config.drives));
  config.cluster_drives = std::move(of_nodes);
  TRY_VOID(take_credential(config, sources));
  TRY_VOID(take_control_password(config.control_store, sources));
  TRY_VOID(check_together(config));
  return config;
}

bool is_of_control_store(const Setting& setting) {
  return setting.name.starts_with("control.");
}

Result<ControlStoreConfig> load_control_store_config(const ConfigSources& sources) {
  ServerConfig config;
  for (const Setting& setting : kSettings) {
    if (!is_of_control_store(setting)) continue;
    const std::string variable = variable_of(setting.name);
    if (const auto text = sources.variable(variable)) TRY_VOID(apply(config, setting, *text, variable));
    const auto flag = sources.flags.find(setting.name);
    if (flag != sources.flags.end()) TRY_VOID(apply(config, setting, flag->second, flag_of(setting.name)));
  }
  TRY_VOID(take_control_password(config.control_store, sources));
  return std::move(config.control_store);
}

}  // namespace ostraka::cmd
