#include "cmd/admin_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/encoding.h"
#include "cmd/admin_client.h"
#include "cmd/admin_text.h"
#include "cmd/drive_pattern.h"
#include "runtime/fs.h"

namespace ostraka::cmd {
namespace {

using Json = AdminJson;
constexpr Duration kPollPeriod = std::chrono::milliseconds(500);
constexpr int kPollsToTell = 20;  // how far it is
constexpr int kFailed = 1;
constexpr int kDamage = 2;

// What the flags said; shared by all verbs.
struct Options {
  std::function<std::optional<std::string>(const std::string&)> variable;
  std::string url, region, ca_file;
  bool json = false;
  // of single verbs
  std::string bucket, prefix, priority, object, drive;
  std::string node;
  std::vector<std::string> drives;
  std::uint64_t id = 0;
  bool deep = false, shallow = false, dry_run = false, wait = false, cancel = false, force = false;
};
using OptionsPtr = std::shared_ptr<Options>;

// One verb's work: asks the node, prints, gives the exit status.
class Verb {
 public:
  explicit Verb(const Options& options) : options_(options) {}

  int run(Result<int> (Verb::*work)()) {
    const Result<> ready = connect();
    if (!ready) return complain(ready.error());
    try {
      const Result<int> status = (this->*work)();
      return status ? *status : complain(status.error());
    } catch (const Json::exception& e) {  // a member of another kind
      return complain({Errc::malformed, fmt::format("the node's answer makes no sense here: {}", e.what())});
    }
  }

  Result<int> heal_status() {
    TRY(status, client_->get("/admin/v1/heal"));
    print(status, heal_status_text(status, clock_.unix_ms()));
    return 0;
  }

  Result<int> heal_start() {
    Json body{{"deep", options_.deep}, {"dry_run", options_.dry_run}, {"prefix", options_.prefix}};
    if (!options_.bucket.empty()) body["bucket"] = options_.bucket;
    TRY(started, client_->post("/admin/v1/heal/start", body));
    const auto id = started.value("id", std::uint64_t{0});
    if (options_.wait) return wait_for_heal(id);
    print(started, fmt::format("Run {0} is under way: ostraka admin heal wait {0}\n", id));
    return 0;
  }

  Result<int> heal_wait() { return wait_for_heal(options_.id); }

  Result<int> heal_cancel() {
    TRY(answer, client_->post("/admin/v1/heal/cancel", Json{{"id", options_.id}}));
    print(answer, "cancelled\n");
    return 0;
  }

  Result<int> heal_priority() {
    TRY(answer, client_->post("/admin/v1/heal/priority", Json{{"priority", options_.priority}}));
    print(answer, fmt::format("priority {}\n", options_.priority));
    return 0;
  }

  Result<int> scan_status() {
    TRY(pass, client_->get("/admin/v1/scan"));
    print(pass, scan_status_text(pass, clock_.unix_ms()));
    return 0;
  }

  Result<int> scan_start() {
    TRY(started, client_->post("/admin/v1/scan/start", Json{{"deep", !options_.shallow}}));
    const auto id = started.value("number", std::uint64_t{0});
    if (options_.wait) return wait_for_scan(id);
    print(started, fmt::format("Pass {0} is under way: ostraka admin scan wait {0}\n", id));
    return 0;
  }

  Result<int> scan_wait() { return wait_for_scan(options_.id); }

  Result<int> scan_cancel() {
    TRY(answer, client_->post("/admin/v1/scan/cancel", Json::object()));
    print(answer, "cancelled\n");
    return 0;
  }

  Result<int> drive_trust() {
    TRY(answer, client_->post("/admin/v1/drive/trust", Json{{"drive", options_.drive}}));
    print(answer, fmt::format("{} is used again, unless it is away; /api/status tells how it does\n",
                              options_.drive));
    return 0;
  }

  // --- growing and shrinking a cluster

  Result<int> rebalance_status() {
    if (options_.wait) return wait_for_balance(Json::array(), 0);
    TRY(status, client_->get(kRebalance));
    print(status, rebalance_text(status));
    return 0;
  }
  Result<int> rebalance_pause() { return pause(true); }
  Result<int> rebalance_resume() { return pause(false); }

  Result<int> drive_list() {
    TRY(status, client_->get(kRebalance));
    print(status, drive_list_text(status));
    return 0;
  }
  Result<int> node_list() {
    TRY(status, client_->get(kRebalance));
    print(status, node_list_text(status));
    return 0;
  }

  Result<int> drive_add() { return add("/admin/v1/drive/add"); }
  Result<int> node_add() { return add("/admin/v1/node/add"); }
  Result<int> drive_drain() {
    TRY(drives, named_drives());
    return drain("/admin/v1/drive/drain", Json{{"drives", std::move(drives)}});
  }
  Result<int> node_drain() { return drain("/admin/v1/node/drain", Json{{"node", options_.node}}); }
  Result<int> drive_remove() {
    TRY(drives, named_drives());
    return remove("/admin/v1/drive/remove", Json{{"drives", std::move(drives)}});
  }
  Result<int> node_remove() { return remove("/admin/v1/node/remove", Json{{"node", options_.node}}); }

  Result<int> usage() {
    TRY(usage, client_->get("/admin/v1/usage"));
    print(usage, usage_text(usage));
    return 0;
  }

  Result<int> inspect() {
    const std::size_t slash = options_.object.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == options_.object.size())
      return fail(Errc::invalid_argument, "name the object as BUCKET/KEY");
    const std::string target =
        fmt::format("/admin/v1/object?bucket={}&deep={}&key={}",
                    percent_encode(options_.object.substr(0, slash), Slash::encode), options_.shallow ? 0 : 1,
                    percent_encode(options_.object.substr(slash + 1), Slash::encode));
    TRY(object, client_->get(target));
    print(object, inspection_text(object));
    const std::string outcome = object.value("outcome", std::string());
    return outcome == "lost" ? kDamage : outcome == "absent" ? kFailed : 0;
  }

 private:
  static constexpr std::string_view kRebalance = "/admin/v1/rebalance";

  Result<int> pause(bool paused) {
    TRY(answer, client_->post("/admin/v1/rebalance/pause", Json{{"paused", paused}}));
    print(answer,
          paused ? "Nothing is moved until `ostraka admin rebalance resume`\n" : "Data is moved again\n");
    return 0;
  }

  // Ranges expanded.
  Result<Json> named_drives() const {
    TRY(drives, expand_drives(options_.drives));
    return Json(drives);
  }

  Result<int> add(std::string_view target) {
    TRY(drives, named_drives());
    TRY(answer, client_->post(target, Json{{"drives", std::move(drives)}}));
    const Json added = answer.value("drives", Json::array());
    if (options_.wait) return wait_for_balance(added, revision_in(answer));
    print(answer, fmt::format("{} drives were added. Now {} (ostraka admin rebalance status)\n", added.size(),
                              answer.value("next", std::string("start their node with them in its list"))));
    return 0;
  }

  Result<int> drain(std::string_view target, Json body) {
    body["cancel"] = options_.cancel;
    body["force"] = options_.force;
    TRY(answer, client_->post(target, body));
    const Json drives = answer.value("drives", Json::array());
    if (options_.cancel) {
      print(answer, fmt::format("{} drives take their part again\n", drives.size()));
      return 0;
    }
    if (options_.wait) return wait_for_drain(drives, revision_in(answer));
    print(answer,
          fmt::format("{} drives are being drained: ostraka admin rebalance status\n", drives.size()));
    return 0;
  }

  Result<int> remove(std::string_view target, const Json& body) {
    TRY(answer, client_->post(target, body));
    print(answer,
          fmt::format("{} drives are none of the cluster any more; what lies in their folders is of no use\n",
                      answer.value("drives", Json::array()).size()));
    return 0;
  }

  static bool is_named(const Json& named, const Json& drive) {
    const std::string url = drive.value("drive", std::string());
    return drive.value("state", std::string()) != "removed" &&
           std::any_of(named.begin(), named.end(), [&](const Json& one) { return one == url; });
  }

  // Of the topology that an answer is about.
  static std::uint64_t revision_in(const Json& answer) { return answer.value("topology", std::uint64_t{0}); }

  // Until all data is where it belongs as the topology of that revision has it, or the newest one, on drives
  // of which these are in service.
  Result<int> wait_for_balance(const Json& added, std::uint64_t revision) {
    for (int polls = 1;; ++polls) {
      TRY(status, client_->get(kRebalance));
      const std::uint64_t wanted = std::max(revision, status.value("newest_topology", std::uint64_t{0}));
      bool balanced = status.value("state", std::string()) == "balanced" && revision_in(status) >= wanted;
      for (const Json& drive : status.value("drives", Json::array()))
        balanced = balanced && (!is_named(added, drive) || drive.value("online", false));
      if (balanced) {
        print(status, rebalance_text(status));
        return 0;
      }
      tell_while_waiting(status, polls);
    }
  }

  // Until these hold nothing any more, and whoever leads knows the topology of that revision, so that it
  // moves nothing to them.
  Result<int> wait_for_drain(const Json& drained, std::uint64_t revision) {
    for (int polls = 1;; ++polls) {
      TRY(status, client_->get(kRebalance));
      const bool known = revision_in(status) >= revision;
      bool empty = known;
      for (const Json& drive : status.value("drives", Json::array())) {
        if (!is_named(drained, drive)) continue;
        if (known && drive.value("state", std::string()) != "draining")
          return fail(Errc::conflict, drive.value("drive", std::string()) + " is not drained any more");
        empty = empty &&
                drive.value("groups", 0U) + drive.value("leaving", 0U) + drive.value("arriving", 0U) == 0;
      }
      if (empty) {
        print(status, rebalance_text(status));
        return 0;
      }
      tell_while_waiting(status, polls);
    }
  }

  void tell_while_waiting(const Json& status, int polls) {
    if (!options_.json && polls % kPollsToTell == 0) {
      const std::string problem = status.value("problem", std::string());
      std::fprintf(stderr, "%s%s%s\n", rebalance_line(status).c_str(), problem.empty() ? "" : "; ",
                   problem.c_str());
    }
    client_->pause(kPollPeriod);
  }

  Result<> connect() {
    AdminTarget target;
    const auto pick = [this](const std::string& given, const char* name, std::string fallback) {
      return given.empty() ? options_.variable(name).value_or(std::move(fallback)) : given;
    };
    target.url = pick(options_.url, "OSTRAKA_ADMIN_URL", target.url);
    target.region = pick(options_.region, "OSTRAKA_REGION", target.region);
    target.ca_file = options_.ca_file;
    target.access_key = options_.variable("OSTRAKA_ROOT_USER").value_or("");
    target.secret = iam::Secret(options_.variable("OSTRAKA_ROOT_PASSWORD").value_or(""));
    TRY(client, AdminClient::make(fs_, clock_, std::move(target)));
    client_ = std::move(client);
    return {};
  }

  Result<int> wait_for_heal(std::uint64_t id) {
    for (;;) {
      TRY(run, client_->get(fmt::format("/admin/v1/heal/{}", id)));
      if (run.value("state", std::string()) == "running") {
        client_->pause(kPollPeriod);
        continue;
      }
      print(run, heal_run_text(run));
      const Json counts = run.value("counts", Json::object());
      const bool good = run.value("state", std::string()) == "done" && counts.value("partly", 0ULL) == 0 &&
                        counts.value("undecided", 0ULL) == 0 && counts.value("lost", 0ULL) == 0;
      return good ? 0 : kDamage;
    }
  }

  Result<int> wait_for_scan(std::uint64_t id) {
    for (;;) {
      TRY(pass, client_->get("/admin/v1/scan"));
      if (pass.value("number", std::uint64_t{0}) == id && pass.value("state", std::string()) == "running") {
        client_->pause(kPollPeriod);
        continue;
      }
      TRY(report, client_->get(fmt::format("/admin/v1/scan/{}", id)));
      print(report, scan_report_text(report, clock_.unix_ms()));
      const Json ended = report.value("pass", Json::object());
      const Json totals = ended.value("totals", Json::object());
      const bool good =
          ended.value("state", std::string()) == "done" && totals.value("unrepaired", 0ULL) == 0;
      return good ? 0 : kDamage;
    }
  }

  void print(const Json& json, const std::string& text) const {
    const std::string out =
        options_.json ? json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n" : text;
    std::fwrite(out.data(), 1, out.size(), stdout);
  }

  static int complain(const Error& error) {
    std::fprintf(stderr, "ostraka: %s\n", error.detail.c_str());
    return kFailed;
  }

  const Options& options_;
  PosixFs fs_;
  SystemClock clock_;
  std::unique_ptr<AdminClient> client_;
};

class Commands {
 public:
  Commands(OptionsPtr options, std::function<int()>& chosen)
      : options_(std::move(options)), chosen_(chosen) {}

  CLI::App* add(CLI::App& parent, const char* name, const char* help, Result<int> (Verb::*work)()) {
    CLI::App* verb = parent.add_subcommand(name, help);
    verb->add_option("--url", options_->url,
                     "the node's console address [OSTRAKA_ADMIN_URL, or http://127.0.0.1:9001]");
    verb->add_option("--region", options_->region, "that the node signs with [OSTRAKA_REGION, or us-east-1]");
    verb->add_option("--ca", options_->ca_file, "PEM file of certificate authorities to trust");
    verb->add_flag("--json", options_->json, "print what the node answers as it is");
    std::function<int()>& chosen = chosen_;
    verb->callback([options = options_, work, &chosen] {
      chosen = [options, work] { return Verb(*options).run(work); };
    });
    return verb;
  }

 private:
  const OptionsPtr options_;
  std::function<int()>& chosen_;
};

}  // namespace

void add_admin_commands(CLI::App& admin,
                        std::function<std::optional<std::string>(const std::string&)> variable,
                        std::function<int()>& chosen) {
  const auto options = std::make_shared<Options>();
  options->variable = std::move(variable);
  Commands commands(options, chosen);
  Options& o = *options;

  CLI::App* heal = admin.add_subcommand("heal", "What is being healed, and healing on demand");
  heal->require_subcommand(1);
  commands.add(*heal, "status", "The queue, drives being refilled, what was lately healed",
               &Verb::heal_status);
  CLI::App* start =
      commands.add(*heal, "start", "Look at every key, and heal what is lacking", &Verb::heal_start);
  start->add_option("BUCKET", o.bucket, "only this bucket");
  start->add_option("--prefix", o.prefix, "only keys that start with this");
  start->add_flag("--deep", o.deep, "read and verify every block on every drive");
  start->add_flag("--dry-run", o.dry_run, "only look");
  start->add_flag("--wait", o.wait, "until it is done");
  CLI::App* wait = commands.add(*heal, "wait", "Wait for a run, and tell what it found", &Verb::heal_wait);
  wait->add_option("RUN", o.id, "its number")->required();
  CLI::App* cancel = commands.add(*heal, "cancel", "End a run", &Verb::heal_cancel);
  cancel->add_option("RUN", o.id, "its number")->required();
  CLI::App* priority =
      commands.add(*heal, "priority", "How much healing yields to clients", &Verb::heal_priority);
  priority->add_option("PRIORITY", o.priority, "idle, normal or high")->required();

  CLI::App* scan =
      admin.add_subcommand("scan", "The scanner: what it verified and found, and a pass on demand");
  scan->require_subcommand(1);
  commands.add(*scan, "status", "The pass under way, or the last", &Verb::scan_status);
  CLI::App* begin = commands.add(*scan, "start", "Begin a pass at full speed", &Verb::scan_start);
  begin->add_flag("--shallow", o.shallow, "look only whether everything is there; read no shards");
  begin->add_flag("--wait", o.wait, "until it is done, then name what it found");
  CLI::App* scan_wait =
      commands.add(*scan, "wait", "Wait for a pass, and name what it found", &Verb::scan_wait);
  scan_wait->add_option("PASS", o.id, "its number")->required();
  commands.add(*scan, "cancel", "End the pass on demand", &Verb::scan_cancel);

  CLI::App* object = admin.add_subcommand("object", "One object");
  object->require_subcommand(1);
  CLI::App* inspect =
      commands.add(*object, "inspect", "Where its shards are, and how they are", &Verb::inspect);
  inspect->add_option("OBJECT", o.object, "BUCKET/KEY")->required();
  inspect->add_flag("--shallow", o.shallow, "do not read the shards");

  CLI::App* drive =
      admin.add_subcommand("drive", "The drives of a cluster, and one that is to be trusted again");
  drive->require_subcommand(1);
  CLI::App* trust =
      commands.add(*drive, "trust", "Use a drive again that was taken out of service", &Verb::drive_trust);
  trust->add_option("FOLDER", o.drive, "as the status page names it")->required();

  const auto name_drives = [&o](CLI::App* verb) {
    verb->add_option("DRIVE", o.drives, "as http://node5:9000/data/d{1...2}")->required();
  };
  const auto name_node = [&o](CLI::App* verb) {
    verb->add_option("NODE", o.node, "its name, as in the URLs of its drives")->required();
  };
  const auto drain_flags = [&o](CLI::App* verb) {
    verb->add_flag("--cancel", o.cancel, "take it back");
    verb->add_flag("--force", o.force,
                   "also when a lost node would then cost more than parity makes good, or space is scarce");
    verb->add_flag("--wait", o.wait, "until they hold nothing any more");
  };
  commands.add(*drive, "list", "All drives of the cluster: state, groups, how full", &Verb::drive_list);
  CLI::App* drive_add = commands.add(*drive, "add", "Add drives to a node of the cluster", &Verb::drive_add);
  name_drives(drive_add);
  drive_add->add_flag("--wait", o.wait, "until they carry their share");
  CLI::App* drive_drain = commands.add(*drive, "drain", "Move all data away from drives, which go on serving",
                                       &Verb::drive_drain);
  name_drives(drive_drain);
  drain_flags(drive_drain);
  name_drives(commands.add(*drive, "remove", "Forget drives that are drained", &Verb::drive_remove));

  CLI::App* node = admin.add_subcommand("node", "The nodes of a cluster");
  node->require_subcommand(1);
  commands.add(*node, "list", "All nodes: drives, groups, how full", &Verb::node_list);
  CLI::App* node_add =
      commands.add(*node, "add", "Add a node to the cluster, by all of its drives", &Verb::node_add);
  name_drives(node_add);
  node_add->add_flag("--wait", o.wait, "until its drives carry their share");
  CLI::App* node_drain = commands.add(*node, "drain", "Move all data away from a node, which goes on serving",
                                      &Verb::node_drain);
  name_node(node_drain);
  drain_flags(node_drain);
  name_node(commands.add(*node, "remove", "Forget a node that is drained", &Verb::node_remove));

  CLI::App* rebalance =
      admin.add_subcommand("rebalance", "The moving of data after drives or nodes were added or drained");
  rebalance->require_subcommand(1);
  CLI::App* rebalance_status = commands.add(
      *rebalance, "status", "How far it is, how fast, and what stands in the way", &Verb::rebalance_status);
  rebalance_status->add_flag("--wait", o.wait, "until all data is where it belongs");
  commands.add(*rebalance, "pause", "Move nothing until it is resumed", &Verb::rebalance_pause);
  commands.add(*rebalance, "resume", "Move data again", &Verb::rebalance_resume);

  commands.add(admin, "usage", "Objects and bytes in each bucket", &Verb::usage);
}

}  // namespace ostraka::cmd
