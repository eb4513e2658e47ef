#include "tests/sim/sim_etcd.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "cluster/limits.h"

namespace ostraka::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kCluster = 0xe7cd;
constexpr Duration kWatchLook = seconds(1);  // at whether somebody still listens
constexpr Duration kLeaseLook = milliseconds(500);
constexpr std::size_t kMostHistory = 5000;

std::string text(std::uint64_t number) {
  return std::to_string(number);
}

std::uint64_t number(const nlohmann::json& in, const char* name) {
  const auto at = in.find(name);
  if (at == in.end()) return 0;
  if (at->is_number_unsigned()) return at->get<std::uint64_t>();
  return parse_u64(at->get<std::string>()).value_or(0);
}

std::string bytes(const nlohmann::json& in, const char* name) {
  const auto at = in.find(name);
  if (at == in.end()) return {};
  return unbase64(at->get<std::string>()).value_or(std::string());
}

Task<Result<>> refuse(net::ResponseSink& sink, int code, std::string message) {
  net::ResponseHead head;
  head.status = 503;
  const nlohmann::json json{{"error", message}, {"code", code}, {"message", message}};
  co_return co_await sink.respond(std::move(head), json.dump());
}

}  // namespace

class SimEtcd::Member final : public net::Service {
 public:
  Member(SimEtcd& etcd, std::size_t index) : etcd_(etcd), index_(index) {}
  Task<> serve(Ctx&, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override {
    const auto text = co_await net::read_all(body, 4U << 20);
    const Json in = Json::parse(text.value_or(std::string()), nullptr, false);
    if (!in.is_object()) {
      co_await refuse(sink, 3, "not an object");
      co_return;
    }
    if (!etcd_.leader_) {
      const Duration pause = milliseconds(etcd_.random_.below(1500));
      co_await sleep_for(etcd_.clock_, pause);
      co_await refuse(sink, 14, "etcdserver: no leader");
      co_return;
    }
    if (head.target == "/v3/watch") {
      co_await watch(in["create_request"], sink);
      co_return;
    }
    const bool changes = head.target == "/v3/kv/txn";
    const bool doubtful = changes && etcd_.random_.chance(etcd_.doubts_);
    const bool dropped = doubtful && etcd_.random_.chance(0.5);
    Said said;
    if (!dropped) said = etcd_.carry_out(head.target, in);
    if (doubtful) {
      etcd_.probes_.hit(dropped ? "etcd: a change is lost and nobody is told"
                                : "etcd: a change is carried out and nobody is told");
      co_await refuse(sink, 14, "etcdserver: request timed out");
      co_return;
    }
    if (said.refusal) {
      co_await refuse(sink, said.refusal->code, said.refusal->message);
      co_return;
    }
    net::ResponseHead good;
    std::string answer = said.json.dump();
    co_await sink.respond(std::move(good), std::move(answer));
  }

  Duration lag{};

 private:
  Task<> watch(Json request, net::ResponseSink& sink) {
    const std::string from = bytes(request, "key"), to = bytes(request, "range_end");
    std::uint64_t next = number(request, "start_revision");
    net::ResponseHead head;
    co_await sink.start(std::move(head), std::nullopt);
    Json created = Json::object();
    created["created"] = true;
    Result<> told = co_await say(sink, std::move(created));
    while (told && !etcd_.stopped_ && etcd_.leader_) {
      if (next <= etcd_.compacted_) {
        etcd_.probes_.hit("etcd: a watch from what is compacted");
        Json canceled = {{"canceled", true}, {"compact_revision", sim::text(etcd_.compacted_ + 1)}};
        told = co_await say(sink, std::move(canceled));
        break;
      }
      const std::uint64_t seen = etcd_.revision_seen_by(index_);
      Json events = Json::array();
      for (const Change& change : etcd_.history_) {
        if (change.revision < next || change.revision > seen || change.key < from || change.key >= to)
          continue;
        Json event = {{"kv", key_value(change.key, change.now)}};
        if (change.erased) event["type"] = "DELETE";
        events.push_back(std::move(event));
      }
      next = std::max(next, seen + 1);
      if (!events.empty()) {
        Json answer = {{"events", std::move(events)}};
        told = co_await say(sink, std::move(answer));
      }
      Event changed;
      etcd_.watching_.push_back(&changed);
      const TimePoint look = etcd_.clock_.now() + kWatchLook;
      const bool woken = co_await changed.wait_until(etcd_.clock_, look);
      std::erase(etcd_.watching_, &changed);
      if (woken && lag > Duration::zero()) co_await sleep_for(etcd_.clock_, lag);
      if (woken) continue;
      const std::span<const ByteSpan> nothing;
      if (told) told = co_await sink.write(nothing);
    }
    if (told && !etcd_.leader_) etcd_.probes_.hit("etcd: a watch ends since the leader has gone");
  }
  Task<Result<>> say(net::ResponseSink& sink, Json result) {
    result["header"] = etcd_.header(etcd_.revision_seen_by(index_));
    const std::string line = Json{{"result", std::move(result)}}.dump() + "\n";
    const ByteSpan part = as_bytes(line);
    co_return co_await sink.write(std::span(&part, 1));
  }

  SimEtcd& etcd_;
  const std::size_t index_;
};

SimEtcd::SimEtcd(SimClock& clock, SimRandom& random, Probes& probes, unsigned members)
    : clock_(clock), random_(random), probes_(probes) {
  for (unsigned i = 0; i < members; ++i) members_.push_back(std::make_unique<Member>(*this, i));
  look_at_leases();
}

SimEtcd::~SimEtcd() = default;

net::Service& SimEtcd::member(std::size_t i) {
  return *members_[i];
}

void SimEtcd::set_lag(std::size_t member, Duration lag) {
  members_[member]->lag = lag;
}

void SimEtcd::set_leader(bool there) {
  if (there && !leader_) {
    probes_.hit("etcd: another leader");
    for (auto& [id, lease] : leases_) lease.end = clock_.now() + lease.ttl;
  }
  leader_ = there;
  wake();
}

void SimEtcd::wake() {
  for (Event* watch : std::vector<Event*>(watching_)) watch->set();
}

void SimEtcd::compact() {
  compacted_ = revision_;
  history_.clear();
  wake();
}

std::uint64_t SimEtcd::revision_seen_by(std::size_t member) const {
  const Duration lag = members_[member]->lag;
  std::uint64_t seen = compacted_;
  if (lag == Duration::zero()) return revision_;
  for (const Change& change : history_)
    if (change.when + lag <= clock_.now()) seen = change.revision;
  return std::max<std::uint64_t>(seen, 1);
}

void SimEtcd::look_at_leases() {
  clock_.after(kLeaseLook, [this] {
    if (stopped_) return;
    std::vector<std::uint64_t> over;
    for (const auto& [id, lease] : leases_)
      if (leader_ && lease.end <= clock_.now()) over.push_back(id);
    for (const std::uint64_t id : over) {
      probes_.hit("etcd: a lease ends by itself");
      end_lease(id);
    }
    look_at_leases();
  });
}

void SimEtcd::end_lease(std::uint64_t id) {
  leases_.erase(id);
  std::vector<std::string> keys;
  for (const auto& [key, entry] : entries_)
    if (entry.lease == id) keys.push_back(key);
  if (keys.empty()) return;
  ++revision_;
  for (const std::string& key : keys) erase(key);
}

void SimEtcd::put(const std::string& key, std::string value, std::uint64_t lease) {
  Entry& entry = entries_[key];
  if (entry.created == 0) entry.created = revision_;
  entry.modified = revision_;
  entry.value = std::move(value);
  entry.lease = lease;
  history_.push_back({false, key, entry, revision_, clock_.now()});
  wake();
  if (history_.size() > kMostHistory) compact();
}

void SimEtcd::erase(const std::string& key) {
  if (entries_.erase(key) == 0) return;
  Entry gone;
  gone.modified = revision_;
  history_.push_back({true, key, std::move(gone), revision_, clock_.now()});
  wake();
}

SimEtcd::Json SimEtcd::header(std::uint64_t revision) const {
  return {{"cluster_id", text(kCluster)}, {"member_id", "1"}, {"revision", text(revision)}};
}

SimEtcd::Json SimEtcd::key_value(const std::string& key, const Entry& entry) {
  return {{"key", base64(key)},
          {"value", base64(entry.value)},
          {"create_revision", text(entry.created)},
          {"mod_revision", text(entry.modified)},
          {"lease", text(entry.lease)}};
}

SimEtcd::Said SimEtcd::carry_out(const std::string& path, const Json& in) {
  if (path == "/v3/kv/range") return range(in);
  if (path == "/v3/kv/txn") return transaction(in);
  if (path == "/v3/lease/grant") return grant(in);
  if (path == "/v3/lease/keepalive") return keep_alive(in);
  if (path == "/v3/lease/revoke") return revoke(in);
  return {Refusal{12, "not known here: " + path}, {}};
}

SimEtcd::Said SimEtcd::range(const Json& in) const {
  const std::string from = bytes(in, "key"), to = bytes(in, "range_end");
  const std::uint64_t limit = number(in, "limit"), at = number(in, "revision");
  // Pages of an older state are not kept: whoever asks begins anew.
  if (at != 0 && at != revision_)
    return {Refusal{11, "etcdserver: mvcc: required revision has been compacted"}, {}};
  Json out = {{"header", header(revision_)}, {"kvs", Json::array()}};
  for (auto it = entries_.lower_bound(from); it != entries_.end(); ++it) {
    if (to.empty() ? it->first != from : it->first >= to) break;
    if (limit != 0 && out["kvs"].size() == limit) {
      out["more"] = true;
      break;
    }
    out["kvs"].push_back(key_value(it->first, it->second));
  }
  return {std::nullopt, std::move(out)};
}

SimEtcd::Said SimEtcd::transaction(const Json& in) {
  bool holds = true;
  for (const Json& compare : in["compare"]) {
    const auto found = entries_.find(bytes(compare, "key"));
    const Entry entry = found == entries_.end() ? Entry{} : found->second;
    if (compare["target"] == "MOD") holds = holds && entry.modified == number(compare, "mod_revision");
    if (compare["target"] == "CREATE") holds = holds && entry.created == number(compare, "create_revision");
    if (compare["target"] == "LEASE") holds = holds && entry.lease == number(compare, "lease");
    if (compare["target"] == "VALUE")
      holds = holds && found != entries_.end() && entry.value == bytes(compare, "value");
  }
  Json responses = Json::array();
  if (holds) {
    for (const Json& step : in["success"]) {
      const auto written = step.find("request_put");
      const std::uint64_t lease = written == step.end() ? 0 : number(*written, "lease");
      if (lease != 0 && !leases_.contains(lease))
        return {Refusal{5, "etcdserver: requested lease not found"}, {}};
    }
    if (!in["success"].empty()) ++revision_;
    for (const Json& step : in["success"]) {
      if (const auto written = step.find("request_put"); written != step.end()) {
        put(bytes(*written, "key"), bytes(*written, "value"), number(*written, "lease"));
        responses.push_back({{"response_put", Json::object()}});
      } else {
        erase(bytes(step["request_delete_range"], "key"));
        responses.push_back({{"response_delete_range", Json::object()}});
      }
    }
  } else {
    for (const Json& step : in["failure"]) {
      Said read = range(step["request_range"]);
      responses.push_back({{"response_range", std::move(read.json)}});
    }
  }
  Json out = {{"header", header(revision_)}, {"responses", std::move(responses)}};
  if (holds) out["succeeded"] = true;
  return {std::nullopt, std::move(out)};
}

SimEtcd::Said SimEtcd::grant(const Json& in) {
  const std::uint64_t id = ++lease_ids_, ttl = number(in, "TTL");
  leases_[id] = {seconds(ttl), clock_.now() + seconds(ttl)};
  return {std::nullopt, {{"header", header(revision_)}, {"ID", text(id)}, {"TTL", text(ttl)}}};
}

SimEtcd::Said SimEtcd::keep_alive(const Json& in) {
  const std::uint64_t id = number(in, "ID");
  const auto found = leases_.find(id);
  Json result = {{"header", header(revision_)}, {"ID", text(id)}};
  if (found != leases_.end()) {
    found->second.end = clock_.now() + found->second.ttl;
    result["TTL"] = text(static_cast<std::uint64_t>(found->second.ttl / seconds(1)));
  }
  return {std::nullopt, {{"result", std::move(result)}}};
}

SimEtcd::Said SimEtcd::revoke(const Json& in) {
  const std::uint64_t id = number(in, "ID");
  if (!leases_.contains(id)) return {Refusal{5, "etcdserver: requested lease not found"}, {}};
  end_lease(id);
  return {std::nullopt, {{"header", header(revision_)}}};
}

}  // namespace ostraka::sim
