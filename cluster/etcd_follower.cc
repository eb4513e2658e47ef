#include "cluster/etcd_follower.h"

#include <algorithm>

#include "base/log.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(50);
constexpr Duration kLongestPause = std::chrono::seconds(1);
constexpr std::size_t kFewestPageKeys = 8;

net::HttpClientConfig http_config(const EtcdConfig& config) {
  net::HttpClientConfig out;
  out.tls = config.tls;
  out.connect_timeout = kEtcdConnect;
  out.stall_timeout = config.silence;
  out.max_idle_per_peer = 0;
  return out;
}

// One page after the other, all as of the same revision. Errors also: conflict, when that was compacted
// meanwhile.
Task<Result<EtcdRange>> read_everything(EtcdClient& client, EtcdKeys keys, TimePoint deadline) {
  EtcdRange all;
  EtcdRangeSpec spec;
  spec.keys = std::move(keys);
  spec.limit = kEtcdPageKeys;
  for (;;) {
    auto page = co_await client.range(spec, deadline);
    if (page.failed_with(Errc::too_large) && spec.limit > kFewestPageKeys) {
      spec.limit /= 2;
      continue;
    }
    if (!page) co_return page;
    if (spec.revision == 0) {
      all.header = page->header;
      all.member = page->member;
      spec.revision = page->header.revision;
    }
    for (EtcdKeyValue& entry : page->found) {
      if (entry.key < spec.keys.key || entry.key >= spec.keys.end)
        co_return fail(Errc::malformed, "etcd's answer: a key that was not asked for");
      all.found.push_back(std::move(entry));
    }
    if (all.found.size() > kMaxEtcdKeys)
      co_return fail(Errc::too_large, "too many keys of this cluster in etcd");
    if (!page->more || page->found.empty()) co_return all;
    spec.keys.key = all.found.back().key + '\0';
  }
}

}  // namespace

std::string etcd_keys_of(std::string_view cluster) {
  return "/ostraka/" + std::string(cluster) + "/";
}

EtcdFollower::EtcdFollower(EtcdClient& client, std::string prefix)
    : client_(client),
      keys_(etcd_prefix(std::move(prefix))),
      http_(net::dial(client.config().dial, client.shard(), http_config(client.config()))) {}

void EtcdFollower::add(std::string_view below, Listener& listener) {
  listeners_.emplace_back(keys_.key + std::string(below), &listener);
}

Task<Result<>> EtcdFollower::load(TimePoint deadline) {
  auto all = co_await read_everything(client_, keys_, deadline);
  if (all.failed_with(Errc::conflict)) all = co_await read_everything(client_, keys_, deadline);
  if (!all) co_return tl::unexpected<Error>(std::move(all).error());
  // A revision never goes back, unless etcd was restored from a copy. What was read then may contradict what
  // was told; so may the next change.
  if (cluster_id_ != 0 && all->header.cluster_id != cluster_id_) co_return is_of_another(all->member);
  if (all->header.revision < revision()) {
    co_return estrange("was restored from an older copy (revision " + std::to_string(all->header.revision) +
                       ", known are " + std::to_string(revision()) + ")");
  }
  const Result<> accepted = accept(all->found);
  if (!accepted) {
    estranged_ = accepted.error().detail;
    co_return accepted;
  }
  tell_all(std::move(all->found));
  cluster_id_ = all->header.cluster_id;
  told_ = all->header.revision;
  next_ = told_ + 1;
  must_load_ = false;
  foreign_.clear();
  ++loads_;
  tell_reached();
  wake();
  co_return Result<>();
}

Result<> EtcdFollower::estrange(const std::string& why) {
  estranged_ = "etcd at " + to_string(client_.config()) + " " + why +
               ". Restart this server to take what etcd has now; if etcd lost its data, restore it from a "
               "snapshot before";
  return fail(Errc::corrupt, estranged_);
}

// One of several may be a wrong address, or have been made anew by mistake. All of them may not.
Result<> EtcdFollower::is_of_another(std::size_t member) {
  client_.pass_over(member);
  foreign_.insert(member);
  const auto& endpoints = client_.config().endpoints;
  if (foreign_.size() == endpoints.size()) return estrange("is not the one that was followed");
  return fail(Errc::unavailable, net::to_string(endpoints[member]) + " is of another etcd");
}

Result<> EtcdFollower::accept(const std::vector<EtcdKeyValue>& all) {
  const auto before = [](const EtcdKeyValue& entry, const std::string& key) { return entry.key < key; };
  for (const auto& [prefix, listener] : listeners_) {
    const EtcdKeys keys = etcd_prefix(prefix);
    const auto first = std::lower_bound(all.begin(), all.end(), keys.key, before);
    const auto last = std::lower_bound(first, all.end(), keys.end, before);
    TRY_VOID(listener->accept(std::span(first, last)));
  }
  return {};
}

void EtcdFollower::tell(EtcdEvent event) {
  const std::string key = event.now.key;
  for (const auto& [prefix, listener] : listeners_) {
    if (!std::string_view(key).starts_with(prefix)) continue;
    listener->changed(std::string_view(key).substr(prefix.size()), std::move(event));
    return;
  }
}

void EtcdFollower::tell_reached() {
  for (const auto& [prefix, listener] : listeners_) listener->reached(revision());
}

void EtcdFollower::tell_all(std::vector<EtcdKeyValue> now) {
  std::vector<EtcdEvent> news;
  std::map<std::string, std::uint64_t> gone = std::move(known_);
  known_.clear();
  for (EtcdKeyValue& entry : now) {
    const auto before = gone.find(entry.key);
    const bool same = before != gone.end() && before->second == entry.mod_revision;
    if (before != gone.end()) gone.erase(before);
    known_.emplace(entry.key, entry.mod_revision);
    if (!same) news.push_back({false, std::move(entry)});
  }
  for (const auto& [key, revision] : gone) {
    EtcdEvent event{.erased = true, .now = {}};
    event.now.key = key;
    news.push_back(std::move(event));
  }
  std::stable_sort(news.begin(), news.end(), [](const EtcdEvent& a, const EtcdEvent& b) {
    return a.now.mod_revision < b.now.mod_revision;
  });
  for (EtcdEvent& event : news) tell(std::move(event));
}

void EtcdFollower::start() {
  gate_.spawn(client_.shard().executor(), run());
}

Task<> EtcdFollower::close() {
  stopping_.set();
  http_->abort();
  wake();
  co_await gate_.close();
}

Task<> EtcdFollower::run() {
  Clock& clock = client_.shard().clock();
  Duration pause = kFirstPause;
  while (!stopping_.is_set()) {
    const Result<> followed = co_await follow();
    if (stopping_.is_set()) break;
    note(followed);
    if (!estranged_.empty()) {
      log::error("{}", estranged_);
      wake();
      break;
    }
    if (heard_) pause = kFirstPause;
    if (heard_ && followed.failed_with(Errc::deadline)) continue;  // it was merely silent
    const TimePoint next = clock.now() + pause;
    pause = std::min(2 * pause, kLongestPause);
    co_await stopping_.wait_until(clock, next);
  }
  wake();
}

// Says once that etcd is away; take() says that it is back.
void EtcdFollower::note(const Result<>& followed) {
  if (heard_ || followed || is_away_ || !estranged_.empty()) return;
  is_away_ = true;
  log::warn("etcd is not followed for now, what is known goes on to serve: {}", followed.error().detail);
}

Task<Result<>> EtcdFollower::follow() {
  Clock& clock = client_.shard().clock();
  heard_ = false;
  TimePoint deadline = clock.now() + kEtcdPatience;
  if (must_load_) {
    CO_TRY_VOID(co_await load(deadline));
  }
  deadline = clock.now() + kEtcdPatience;
  CO_TRY(watch, co_await client_.watch(*http_, keys_, next_, deadline));
  for (;;) {
    if (stopping_.is_set()) co_return Result<>();
    auto answer = co_await watch->next();
    if (!answer) {
      if (!answer.failed_with(Errc::deadline) || !heard_) client_.pass_over(watch->member());
      co_return tl::unexpected<Error>(std::move(answer).error());
    }
    if (answer->created) {
      CO_TRY_VOID(co_await begin(answer->header, watch->member()));
    }
    CO_TRY_VOID(take(std::move(*answer)));
  }
}

// Whether the etcd that answers is the one that was followed. A member may lag behind; all of them together
// may not.
Task<Result<>> EtcdFollower::begin(EtcdHeader header, std::size_t member) {
  if (header.cluster_id != cluster_id_) co_return is_of_another(member);
  foreign_.clear();
  if (header.revision >= revision()) co_return Result<>();
  EtcdRangeSpec spec;
  spec.keys = keys_;
  spec.limit = 1;
  const TimePoint deadline = client_.shard().clock().now() + kEtcdPatience;
  CO_TRY(now, co_await client_.range(spec, deadline));
  if (now.header.cluster_id != cluster_id_) co_return is_of_another(now.member);
  if (now.header.revision >= revision()) co_return Result<>();
  must_load_ = true;
  co_return fail(Errc::unavailable, "an etcd answers that was restored");
}

Result<> EtcdFollower::take(EtcdWatchAnswer answer) {
  if (answer.canceled) {
    must_load_ = true;
    if (answer.compact_revision != 0) heard_ = true;  // all is well with it
    return fail(Errc::unavailable, "etcd ended the watch: " + answer.reason);
  }
  if (is_away_) log::info("etcd is followed again");
  is_away_ = false;
  heard_ = true;
  // Changes of one revision may be spread over the fragments of an answer, and come again when the watch
  // broke between them. An answer without events, as the first of each watch, ends no revision.
  const std::uint64_t last = answer.events.empty() ? 0 : answer.events.back().now.mod_revision;
  for (EtcdEvent& event : answer.events) {
    if (event.now.key < keys_.key || event.now.key >= keys_.end)
      return fail(Errc::malformed, "etcd's answer: a key that is not watched");
    // The beginning of an answer that was cut off comes again.
    if (event.now.mod_revision < next_ || event.now.mod_revision < told_) continue;
    told_ = event.now.mod_revision;
    if (event.erased) {
      if (known_.erase(event.now.key) == 0) continue;
    } else if (std::uint64_t& known = known_[event.now.key]; known != event.now.mod_revision) {
      known = event.now.mod_revision;
    } else {
      continue;
    }
    tell(std::move(event));
  }
  if (!answer.fragment) next_ = std::max(next_.load(), last + 1);
  tell_reached();
  wake();
  return {};
}

void EtcdFollower::wake() {
  for (Event* event : waiting_) event->set();
}

Task<bool> EtcdFollower::wait(std::function<bool()> reached, TimePoint deadline, Patience patience) {
  Clock& clock = client_.shard().clock();
  Event changed;
  waiting_.push_back(&changed);
  TimePoint hurry = kNoDeadline;
  if (patience == Patience::impatient) hurry = deadline_after(clock.now(), kEtcdEcho);
  bool there = false;
  for (;;) {
    there = reached();
    if (there || stopping_.is_set() || !estranged_.empty()) break;
    changed.reset();
    const TimePoint until = std::min(deadline, hurry);
    const bool woken = co_await changed.wait_until(clock, until);
    if (woken) continue;
    if (clock.now() >= deadline) break;
    hurry = kNoDeadline;
    http_->abort();  // the watch is opened anew
  }
  std::erase(waiting_, &changed);
  co_return there;
}

}  // namespace ostraka::cluster
