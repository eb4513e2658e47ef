#include "cluster/quorum_lock_service.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "cluster/limits.h"
#include "runtime/fan_out.h"

namespace ostraka::cluster {
namespace {

using control::Lease;
using Verdict = Result<LockVerdict>;

// What is locked and whose turn it is are names of their own on the servers.
constexpr char kKeyMark = 'k';
constexpr char kTurnMark = 't';

std::size_t majority_of(std::size_t servers) {
  return servers / 2 + 1;
}

struct Count {
  std::size_t granted = 0, refused = 0, lost = 0;
};
Count count(const FanOut<Verdict>::Answers& answers) {
  Count out;
  for (const auto& answer : answers) {
    if (!answer) continue;
    if (!*answer || **answer == LockVerdict::full)
      ++out.lost;
    else
      ++(**answer == LockVerdict::granted ? out.granted : out.refused);
  }
  return out;
}

Result<> past_deadline() {
  return fail(Errc::deadline, "waiting for the commit lease");
}

}  // namespace

// What is claimed under one id.
struct QuorumLockService::Hold {
  std::uint64_t id = 0;
  std::string name;  // with its mark
  LinksPtr links;
  std::vector<bool> spared;  // of the links: certainly nothing there to be let go of
  // Guarded by the service's mutex:
  bool renewed = false;  // so none is spared
  TimePoint told;        // when the servers last heard of it
};

// Lets go of it when it goes.
class QuorumLockService::Claimed {
 public:
  Claimed(QuorumLockService& service, HoldPtr hold) : service_(service), hold_(std::move(hold)) {}
  Claimed(const Claimed&) = delete;
  Claimed& operator=(const Claimed&) = delete;
  ~Claimed() {
    if (hold_) service_.end(*hold_);
  }
  Hold& operator*() const noexcept { return *hold_; }
  HoldPtr keep() { return std::exchange(hold_, nullptr); }

 private:
  QuorumLockService& service_;
  HoldPtr hold_;
};

class QuorumLockService::HeldLease final : public Lease {
 public:
  HeldLease(QuorumLockService& service, std::unique_ptr<Lease> here, HoldPtr hold)
      : here_(std::move(here)), claimed_(service, std::move(hold)) {}

 private:
  const std::unique_ptr<Lease> here_;  // goes last: the next one of this node comes after this one
  const Claimed claimed_;
};

// One claim in the lines of all servers. Belongs to the shard of the one who waits.
struct QuorumLockService::Contest {
  explicit Contest(HoldPtr claim) : hold(std::move(claim)), down(hold->links->size()) {}
  const HoldPtr hold;
  std::size_t granted = 0;
  std::vector<bool> down;  // did not answer when last asked
  bool over = false;
  Event changed;
};

QuorumLockService::QuorumLockService(const QuorumLockDeps& deps, NodeName self)
    : deps_(deps), self_(std::move(self)), last_id_(lock_ids_from(deps.clock)) {
  set_nodes({});
}

QuorumLockService::~QuorumLockService() = default;

void QuorumLockService::start() {
  gate_.spawn(deps_.home.executor(), renew_regularly(this));
  gate_.spawn(deps_.home.executor(), doubt_regularly(this));
}

Task<> QuorumLockService::close() {
  stopping_ = true;
  gate_.spawn(deps_.home.executor(), stop(this));
  co_await gate_.close();
}

Task<> QuorumLockService::stop(QuorumLockService* self) {
  self->wake_.set();
  self->stopped_.set();
  co_return;
}

void QuorumLockService::set_nodes(std::vector<NodeName> nodes) {
  nodes.push_back(self_);
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  const LockLinkDeps deps{deps_.transport, deps_.own, deps_.clock, deps_.home, gate_, stopping_};
  auto links = std::make_shared<Links>();
  const std::lock_guard lock(mutex_);
  std::map<NodeName, std::shared_ptr<LockLink>> known;
  for (const NodeName& node : nodes) {
    const auto before = known_.find(node);
    auto link = before == known_.end() ? std::make_shared<LockLink>(deps, self_, node) : before->second;
    known.emplace(node, link);
    links->push_back(std::move(link));
  }
  known_ = std::move(known);
  links_ = std::move(links);
}

std::size_t QuorumLockService::held() const {
  const std::lock_guard lock(mutex_);
  return holds_.size();
}

// In an order that depends on the name only, the same on all nodes (rendezvous hashing, Thaler and
// Ravishankar 1998).
QuorumLockService::LinksPtr QuorumLockService::ranked(const LinksPtr& links, const std::string& name) {
  std::vector<std::pair<std::uint64_t, std::shared_ptr<LockLink>>> by_rank;
  for (const auto& link : *links) {
    const std::string both = name + '\0' + link->node();
    by_rank.emplace_back(xxh3_64(as_bytes(both)), link);
  }
  std::sort(by_rank.begin(), by_rank.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second->node() < b.second->node();
  });
  auto out = std::make_shared<Links>();
  for (auto& [rank, link] : by_rank) out->push_back(std::move(link));
  return out;
}

QuorumLockService::LinksPtr QuorumLockService::servers_of(const std::string& name) const {
  LinksPtr all;
  {
    const std::lock_guard lock(mutex_);
    all = links_;
  }
  if (all->size() <= kMaxLockServers) return all;
  const LinksPtr order = ranked(all, name);
  const auto end = order->begin() + static_cast<std::ptrdiff_t>(kMaxLockServers);
  return std::make_shared<const Links>(order->begin(), end);
}

QuorumLockService::HoldPtr QuorumLockService::begin(std::string name, LinksPtr links) {
  auto hold = std::make_shared<Hold>();
  hold->id = ++last_id_;
  hold->name = std::move(name);
  hold->spared.resize(links->size());
  hold->links = std::move(links);
  hold->told = deps_.clock.now();
  return hold;
}

// From now on it is renewed.
void QuorumLockService::enroll(const HoldPtr& hold) {
  const std::lock_guard lock(mutex_);
  holds_.emplace(hold->id, hold);
}

void QuorumLockService::end(Hold& hold) noexcept {
  bool renewed = false;
  {
    const std::lock_guard lock(mutex_);
    holds_.erase(hold.id);
    renewed = hold.renewed;
  }
  for (std::size_t i = 0; i < hold.links->size(); ++i)
    if (renewed || !hold.spared[i]) LockLink::release((*hold.links)[i], hold.id);
}

// From half of it to all of it.
Duration QuorumLockService::jittered(Duration most) const {
  const auto half = static_cast<std::uint64_t>(most.count()) / 2;
  return Duration(static_cast<Duration::rep>(half + random_u64(deps_.random) % (half + 1)));
}

Task<Result<std::unique_ptr<Lease>>> QuorumLockService::acquire(Ctx& ctx, std::string name) {
  if (name.size() + 1 > kMaxLockNameBytes) co_return fail(Errc::too_large, "the name of a lease");
  CO_TRY(here, co_await here_.acquire(ctx, name));
  LinksPtr links = servers_of(name);
  if (links->size() == 1) co_return std::move(here);
  CO_TRY(hold, co_await win(ctx, std::move(name), std::move(links)));
  std::unique_ptr<Lease> lease = std::make_unique<HeldLease>(*this, std::move(here), std::move(hold));
  co_return std::move(lease);
}

Task<Result<QuorumLockService::HoldPtr>> QuorumLockService::win(Ctx& ctx, std::string name, LinksPtr links) {
  if (ctx.deadline <= deps_.clock.now()) co_return tl::unexpected<Error>(past_deadline().error());
  CO_TRY(at_once, co_await try_at_once(ctx, kKeyMark + name, links));
  if (at_once) co_return at_once;
  CO_TRY(turn, co_await take_turn(ctx, kTurnMark + name, ranked(links, name)));
  co_return co_await stand_in_line(ctx, kKeyMark + name, links);
}

// Null: somebody else is about.
Task<Result<QuorumLockService::HoldPtr>> QuorumLockService::try_at_once(Ctx& ctx, std::string name,
                                                                        LinksPtr links) {
  const std::size_t need = majority_of(links->size()), bearable = links->size() - need;
  HoldPtr hold = begin(std::move(name), links);
  Claimed claimed(*this, hold);
  auto fan = std::make_shared<FanOut<Verdict>>(links->size());
  for (std::size_t i = 0; i < links->size(); ++i) {
    Task<Verdict> ask =
        LockLink::claim((*links)[i], ctx, hold->id, hold->name, Duration::zero(), kLockSilence);
    if (!fan->start(ctx.shard.executor(), gate_, i, std::move(ask)))
      co_return fail(Errc::closed, "the locks are closed");
  }
  std::function<bool(const FanOut<Verdict>::Answers&)> decided = [need, bearable](const auto& answers) {
    const Count so_far = count(answers);
    return so_far.granted >= need || so_far.refused + so_far.lost > bearable;
  };
  const TimePoint asked = deps_.clock.now();
  const TimePoint until = std::min(ctx.deadline, deadline_after(asked, kLockCall));
  co_await fan->wait(deps_.clock, until, decided);
  Count got = count(fan->answers());
  if (!decided(fan->answers()) && got.refused == 0) {
    std::function<bool(const FanOut<Verdict>::Answers&)> news = [decided](const auto& answers) {
      return decided(answers) || count(answers).refused > 0;
    };
    const TimePoint silence = std::min(ctx.deadline, deadline_after(asked, kLockSilence));
    co_await fan->wait(deps_.clock, silence, news);
    got = count(fan->answers());
  }
  for (std::size_t i = 0; i < links->size(); ++i) {
    const auto& answer = fan->answers()[i];
    hold->spared[i] =
        answer && (*answer ? **answer != LockVerdict::granted : answer->failed_with(Errc::unavailable));
  }
  if (got.granted >= need) {
    enroll(hold);
    co_return claimed.keep();
  }
  if (got.refused > 0) co_return HoldPtr{};
  if (ctx.deadline <= deps_.clock.now()) co_return tl::unexpected<Error>(past_deadline().error());
  co_return fail(Errc::unavailable, "no majority of the lock servers answers");
}

// At the first server of the order that answers.
Task<Result<std::unique_ptr<QuorumLockService::Claimed>>> QuorumLockService::take_turn(Ctx& ctx,
                                                                                       std::string name,
                                                                                       LinksPtr links) {
  for (const auto& link : *links) {
    auto single = std::make_shared<const Links>(1, link);
    const HoldPtr hold = begin(name, std::move(single));
    auto turn = std::make_unique<Claimed>(*this, hold);
    enroll(hold);
    for (bool answers = true; answers;) {
      const TimePoint asked = deps_.clock.now();
      if (ctx.deadline <= asked) co_return tl::unexpected<Error>(past_deadline().error());
      const Duration wait = std::min<Duration>(kLockPoll, ctx.deadline - asked);
      const Verdict said = co_await LockLink::claim(link, ctx, hold->id, hold->name, wait);
      if (said && *said == LockVerdict::granted) co_return std::move(turn);
      answers = said && *said == LockVerdict::waits;
      if (answers && deps_.clock.now() - asked < wait / 2)
        co_await sleep_for(deps_.clock, jittered(kLockRetry));
    }
  }
  if (ctx.deadline <= deps_.clock.now()) co_return tl::unexpected<Error>(past_deadline().error());
  co_return fail(Errc::unavailable, "no lock server answers");
}

Task<Result<QuorumLockService::HoldPtr>> QuorumLockService::stand_in_line(Ctx& ctx, std::string name,
                                                                          LinksPtr links) {
  const std::size_t need = majority_of(links->size()), bearable = links->size() - need;
  Ctx asking = ctx;
  asking.deadline = kNoDeadline;  // those who ask are told when it is over
  for (;;) {
    const HoldPtr hold = begin(name, links);
    Claimed claimed(*this, hold);
    enroll(hold);
    const auto contest = std::make_shared<Contest>(hold);
    for (std::size_t i = 0; i < links->size(); ++i)
      if (!gate_.spawn(ctx.shard.executor(), keep_asking(this, contest, i, asking)))
        co_return fail(Errc::closed, "the locks are closed");
    TimePoint patience = deadline_after(deps_.clock.now(), jittered(2 * kLockPatience));
    while (deps_.clock.now() < patience && deps_.clock.now() < ctx.deadline) {
      const auto down =
          static_cast<std::size_t>(std::count(contest->down.begin(), contest->down.end(), true));
      if (contest->granted >= need || down > bearable) break;
      contest->changed.reset();
      co_await contest->changed.wait_until(deps_.clock, std::min(patience, ctx.deadline));
      // Whoever has nothing is in nobody's way.
      if (contest->granted == 0) patience = deadline_after(deps_.clock.now(), jittered(2 * kLockPatience));
    }
    contest->over = true;
    if (contest->granted >= need) co_return claimed.keep();
    if (ctx.deadline <= deps_.clock.now()) co_return tl::unexpected<Error>(past_deadline().error());
    if (deps_.clock.now() < patience)
      co_return fail(Errc::unavailable, "no majority of the lock servers answers");
  }
}

Task<> QuorumLockService::keep_asking(QuorumLockService* self, std::shared_ptr<Contest> contest,
                                      std::size_t slot, Ctx ctx) {
  Clock& clock = self->deps_.clock;
  const HoldPtr hold = contest->hold;
  const std::shared_ptr<LockLink> link = (*hold->links)[slot];
  while (!contest->over) {
    const TimePoint asked = clock.now();
    const Verdict said = co_await LockLink::claim(link, ctx, hold->id, hold->name, kLockPoll);
    if (contest->over) co_return;
    if (said && *said == LockVerdict::granted) {
      contest->down[slot] = false;
      ++contest->granted;
      contest->changed.set();
      co_return;
    }
    contest->down[slot] = !said || *said != LockVerdict::waits;
    contest->changed.set();
    if (clock.now() - asked < Duration(kLockPoll) / 2) co_await sleep_for(clock, self->jittered(kLockRetry));
  }
}

Task<> QuorumLockService::renew_regularly(QuorumLockService* self) {
  while (!self->stopping_) {
    self->wake_.reset();
    co_await self->wake_.wait_until(self->deps_.clock, self->deps_.clock.now() + kLockRenewal);
    self->renew();
  }
}

Task<> QuorumLockService::doubt_regularly(QuorumLockService* self) {
  while (!self->stopping_) {
    co_await self->stopped_.wait_until(self->deps_.clock, self->deps_.clock.now() + kLockSweep);
    for (const NodeName& node : self->deps_.own.doubted()) {
      std::shared_ptr<LockLink> link;
      {
        const std::lock_guard lock(self->mutex_);
        const auto known = self->known_.find(node);
        if (known != self->known_.end()) link = known->second;
      }
      if (link && !self->stopping_)
        self->gate_.spawn(self->deps_.home.executor(), LockLink::ask_after(std::move(link)));
    }
  }
}

// Those that the servers have not heard of for a while; most are let go of long before.
void QuorumLockService::renew() {
  const TimePoint now = deps_.clock.now();
  using Link = std::shared_ptr<LockLink>;
  // By name, so that a simulated node does the same each time.
  const auto by_node = [](const Link& a, const Link& b) {
    return a->node() != b->node() ? a->node() < b->node() : a < b;
  };
  std::map<Link, std::vector<LockRenewalOne>, decltype(by_node)> renewals(by_node);
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, hold] : holds_) {
      if (now - hold->told < Duration(kLockRenewal) / 2) continue;
      hold->told = now;
      hold->renewed = true;
      for (const auto& link : *hold->links) renewals[link].push_back(LockRenewalOne{id, hold->name});
    }
  }
  for (auto& [link, claims] : renewals)
    gate_.spawn(deps_.home.executor(), LockLink::renew(link, std::move(claims)));
}

}  // namespace ostraka::cluster
