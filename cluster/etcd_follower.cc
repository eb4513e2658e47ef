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
      spec.revision = page->header.revision;
    }
    for (EtcdKeyValue& entry : page->found) {
      if (entry.key < spec.keys.key || entry.key >= spec.keys.end)
        co_return fail(Errc::malformed, "etcd's answer: a key that was not asked for");
      all.found.push_back(std::move(entry));
    }
    if (!page->more || page->found.empty()) co_return all;
    spec.keys.key = all.found.back().key + '\0';
  }
}

}  // namespace

EtcdFollower::EtcdFollower(EtcdClient& client, std::string prefix, std::string what, Listener& listener)
    : client_(client),
      keys_(etcd_prefix(std::move(prefix))),
      what_(std::move(what)),
      listener_(listener),
      http_(client.shard(), http_config(client.config())) {}

Task<Result<>> EtcdFollower::load(TimePoint deadline) {
  auto all = co_await read_everything(client_, keys_, deadline);
  if (all.failed_with(Errc::conflict)) all = co_await read_everything(client_, keys_, deadline);
  if (!all) co_return tl::unexpected<Error>(std::move(all).error());
  // A revision never goes back, unless etcd was restored from a copy. What was read then may contradict what
  // was told; so may the next change.
  if (cluster_id_ != 0 && (all->header.cluster_id != cluster_id_ || all->header.revision < revision())) {
    estranged_ = "etcd at " + to_string(client_.config()) +
                 " is not the one that was followed, or was restored " + "from an older copy (revision " +
                 std::to_string(all->header.revision) + ", known are " + std::to_string(revision()) +
                 "). Restart this server to take what etcd has now";
    co_return fail(Errc::corrupt, estranged_);
  }
  const Result<> taken = listener_.all(std::move(all->found));
  if (!taken) {
    estranged_ = taken.error().detail;
    co_return taken;
  }
  cluster_id_ = all->header.cluster_id;
  told_ = all->header.revision;
  next_ = told_ + 1;
  must_load_ = false;
  ++loads_;
  wake();
  co_return Result<>();
}

Task<> EtcdFollower::run() {
  Clock& clock = client_.shard().clock();
  Duration pause = kFirstPause;
  while (!stopping_.is_set()) {
    const Result<> followed = co_await follow();
    if (stopping_.is_set()) break;
    note(followed);
    if (!estranged_.empty()) {
      log::error("{}: {}", what_, estranged_);
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

void EtcdFollower::stop() {
  stopping_.set();
  http_.abort();
  wake();
}

// Says once that etcd is away; take() says that it is back.
void EtcdFollower::note(const Result<>& followed) {
  if (heard_ || followed || is_away_ || !estranged_.empty()) return;
  is_away_ = true;
  log::warn("{}: not followed for now, what is known goes on to serve: {}", what_, followed.error().detail);
}

Task<Result<>> EtcdFollower::follow() {
  Clock& clock = client_.shard().clock();
  heard_ = false;
  TimePoint deadline = clock.now() + kEtcdPatience;
  if (must_load_) {
    CO_TRY_VOID(co_await load(deadline));
  }
  deadline = clock.now() + kEtcdPatience;
  CO_TRY(watch, co_await client_.watch(http_, keys_, next_, deadline));
  for (;;) {
    if (stopping_.is_set()) co_return Result<>();
    auto answer = co_await watch->next();
    if (!answer) {
      if (!answer.failed_with(Errc::deadline) || !heard_) client_.pass_over(watch->member());
      co_return tl::unexpected<Error>(std::move(answer).error());
    }
    if (answer->created) {
      CO_TRY_VOID(co_await begin(answer->header));
    }
    CO_TRY_VOID(take(std::move(*answer)));
  }
}

// Whether the etcd that answers is the one that was followed. A member may lag behind; all of them together
// may not.
Task<Result<>> EtcdFollower::begin(EtcdHeader header) {
  if (header.cluster_id == cluster_id_ && header.revision >= revision()) co_return Result<>();
  EtcdRangeSpec spec;
  spec.keys = keys_;
  spec.limit = 1;
  const TimePoint deadline = client_.shard().clock().now() + kEtcdPatience;
  CO_TRY(now, co_await client_.range(spec, deadline));
  if (now.header.cluster_id == cluster_id_ && now.header.revision >= revision()) co_return Result<>();
  must_load_ = true;
  co_return fail(Errc::unavailable, "another etcd answers, or one that was restored");
}

Result<> EtcdFollower::take(EtcdWatchAnswer answer) {
  if (answer.canceled) {
    must_load_ = true;
    if (answer.compact_revision != 0) heard_ = true;  // all is well with it
    return fail(Errc::unavailable, "etcd ended the watch: " + answer.reason);
  }
  if (is_away_) log::info("{}: followed again", what_);
  is_away_ = false;
  heard_ = true;
  std::vector<EtcdEvent> news;
  for (EtcdEvent& event : answer.events) {
    if (event.now.key < keys_.key || event.now.key >= keys_.end)
      return fail(Errc::malformed, "etcd's answer: a key that is not watched");
    // The beginning of an answer that was cut off comes again.
    if (event.now.mod_revision < next_ || event.now.mod_revision < told_) continue;
    told_ = event.now.mod_revision;
    news.push_back(std::move(event));
  }
  if (!news.empty()) listener_.changed(std::move(news));
  // Changes of one revision may be spread over the fragments of an answer: after the last, all are there.
  if (!answer.fragment) next_ = std::max(next_.load(), told_ + 1);
  wake();
  return {};
}

void EtcdFollower::wake() {
  for (Event* event : waiting_) event->set();
}

Task<bool> EtcdFollower::wait(std::function<bool()> reached, TimePoint deadline) {
  Clock& clock = client_.shard().clock();
  Event changed;
  waiting_.push_back(&changed);
  TimePoint hurry = deadline_after(clock.now(), kEtcdEcho);
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
    http_.abort();  // the watch is opened anew
  }
  std::erase(waiting_, &changed);
  co_return there;
}

}  // namespace ostraka::cluster
