#include "cmd/admin_certs.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <set>

#include "net/limits.h"
#include "net/make_certificates.h"
#include "runtime/clock.h"

namespace ostraka::cmd {
namespace {

constexpr unsigned kAuthorityDays = 3650;
constexpr unsigned kNodeDays = 365;
constexpr unsigned kMaxDays = 36500;
constexpr std::int64_t kSecondsADay = 86'400;
constexpr std::int64_t kClockSkew = 3600;  // of nodes whose clocks are behind

net::Validity validity_from(std::int64_t now_unix_s, unsigned days) {
  return {now_unix_s - kClockSkew, now_unix_s + static_cast<std::int64_t>(days) * kSecondsADay};
}

// A file that only its owner may read from its first byte on. A command runs on one thread, so the mask of
// the process may change for a moment.
Result<> write_private(Fs& fs, const std::string& path, const std::string& content) {
  const mode_t before = ::umask(0077);
  const Result<> written = fs.write_file(path, content);
  ::umask(before);
  return written;
}

Result<> refuse_existing(Fs& fs, const std::string& path) {
  TRY(there, fs.exists(path));
  if (!there) return {};
  return fail(Errc::conflict, path +
                                  " is there already, and nothing is overwritten: give another folder, or "
                                  "move it away");
}

struct CertsOptions {
  AuthoritySpec authority{.out = {}, .trust_domain = {}, .days = kAuthorityDays};
  NodesSpec nodes{.authority = {}, .out = {}, .nodes = {}, .days = kNodeDays};
};

int tell(const Result<std::string>& outcome) {
  if (!outcome) {
    std::fprintf(stderr, "ostraka: %s\n", outcome.error().detail.c_str());
    return 1;
  }
  std::fputs(outcome->c_str(), stdout);
  return 0;
}

}  // namespace

Result<std::string> make_authority_files(Fs& fs, const AuthoritySpec& spec, std::int64_t now_unix_s) {
  const std::string certificate_path = spec.out + "/ca.crt", key_path = spec.out + "/ca.key";
  TRY_VOID(refuse_existing(fs, certificate_path));
  TRY_VOID(refuse_existing(fs, key_path));
  TRY(made, net::make_authority(spec.trust_domain, validity_from(now_unix_s, spec.days)));
  TRY_VOID(fs.make_dirs(spec.out));
  TRY_VOID(write_private(fs, key_path, made.key));
  TRY_VOID(fs.write_file(certificate_path, made.certificate));
  return fmt::format(
      "Made the authority of the trust domain {0}, good for {1} days:\n"
      "  {2}  goes to every node\n"
      "  {3}  signs node certificates: whoever has it can join the cluster. Keep it offline, on no node\n"
      "Next: ostraka admin certs node --ca {4} --out DIR NODE...\n",
      spec.trust_domain, spec.days, certificate_path, key_path, spec.out);
}

Result<std::string> make_node_files(Fs& fs, const NodesSpec& spec, std::int64_t now_unix_s) {
  TRY(certificate, fs.read_file(spec.authority + "/ca.crt", net::kMaxPemBytes));
  TRY(key, fs.read_file(spec.authority + "/ca.key", net::kMaxPemBytes));
  const net::CertificateAndKey authority{std::move(certificate), std::move(key)};
  std::set<std::string> seen;
  std::vector<net::CertificateAndKey> made;
  for (const std::string& node : spec.nodes) {
    if (!seen.insert(node).second) return fail(Errc::invalid_argument, node + " is named twice");
    auto one = net::make_node_certificate(authority, node, validity_from(now_unix_s, spec.days));
    if (!one) {
      const bool is_authority = one.failed_with(Errc::malformed);
      return fail(one.code(), (is_authority ? spec.authority + ": " : std::string()) + one.error().detail);
    }
    made.push_back(std::move(*one));
    for (const char* name : {"/ca.crt", "/node.crt", "/node.key"})
      TRY_VOID(refuse_existing(fs, spec.out + "/" + node + name));
  }
  std::string out = fmt::format("Made, good for {} days:\n", spec.days);
  for (std::size_t i = 0; i < made.size(); ++i) {
    const std::string folder = spec.out + "/" + spec.nodes[i];
    TRY_VOID(fs.make_dirs(folder));
    TRY_VOID(write_private(fs, folder + "/node.key", made[i].key));
    TRY_VOID(fs.write_file(folder + "/node.crt", made[i].certificate));
    TRY_VOID(fs.write_file(folder + "/ca.crt", authority.certificate));
    out += fmt::format("  {}: ca.crt, node.crt, node.key  go to the node {}\n", folder, spec.nodes[i]);
  }
  out +=
      "Copy each folder to its node, readable by the server's user alone, and name it there in\n"
      "--cluster-certs-dir (OSTRAKA_CLUSTER_CERTS_DIR). A running server reads them again when they "
      "change.\n";
  return out;
}

void add_certs_commands(CLI::App& admin, std::function<int()>& chosen) {
  const auto options = std::make_shared<CertsOptions>();
  CLI::App* certs =
      admin.add_subcommand("certs", "Certificates with which the nodes of a cluster know each other");
  certs->require_subcommand(1);

  CLI::App* ca = certs->add_subcommand("ca", "Make the cluster's own authority");
  ca->add_option("--out", options->authority.out, "folder for ca.crt and ca.key")->required();
  ca->add_option("--trust-domain", options->authority.trust_domain,
                 "the cluster's name in its certificates, for example storage.example.com")
      ->required();
  ca->add_option("--days", options->authority.days, "how long it is good for")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxDays));
  ca->callback([options, &chosen] {
    chosen = [options] {
      PosixFs fs;
      const SystemClock clock;
      return tell(make_authority_files(fs, options->authority, clock.unix_ms() / 1000));
    };
  });

  CLI::App* node = certs->add_subcommand("node", "Make the certificates of nodes");
  node->add_option("--ca", options->nodes.authority, "folder with ca.crt and ca.key")->required();
  node->add_option("--out", options->nodes.out, "a folder for each node is made in this one")->required();
  node->add_option("--days", options->nodes.days, "how long they are good for")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxDays));
  node->add_option("NODE", options->nodes.nodes, "the hosts as they stand in the drives' URLs")->required();
  node->callback([options, &chosen] {
    chosen = [options] {
      PosixFs fs;
      const SystemClock clock;
      return tell(make_node_files(fs, options->nodes, clock.unix_ms() / 1000));
    };
  });
}

}  // namespace ostraka::cmd
