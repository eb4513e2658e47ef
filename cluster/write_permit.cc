#include "cluster/write_permit.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cluster/control.pb.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

WritePermit::WritePermit(const WritePermitDeps& deps, NodeName self, std::vector<NodeName> nodes)
    : deps_(deps),
      self_(std::move(self)),
      started_(deps.clock.now()),
      seen_(std::make_shared<Seen>()),
      permitted_until_(TimePoint::min().time_since_epoch().count()) {
  set_nodes(std::move(nodes));
  const auto watcher = [seen = seen_, &clock = deps_.clock](const NodeName& name,
                                                            const control::MemberPtr& member) {
    const TimePoint when = clock.now();
    const std::lock_guard lock(seen->mutex);
    if (member)
      seen->gone.erase(name);
    else
      seen->gone.emplace(name, when);
  };
  deps_.membership.watch(watcher);
  for (const control::MemberPtr& member : deps_.membership.members()) watcher(member->name, member);
}

WritePermit::~WritePermit() = default;

void WritePermit::start() {
  gate_.spawn(deps_.home.executor(), renew_regularly(this));
}

Task<> WritePermit::close() {
  stopping_ = true;
  gate_.spawn(deps_.home.executor(), stop(this));
  co_await gate_.close();
}

Task<> WritePermit::stop(WritePermit* self) {
  self->wake_.set();
  co_return;
}

bool WritePermit::may_write() const noexcept {
  if (deps_.membership.displaced()) return false;
  const TimePoint now = deps_.clock.now();
  if (now - kWriteGrace < deps_.membership.lease_until()) return true;
  return now.time_since_epoch().count() < permitted_until_.load(std::memory_order_relaxed);
}

bool WritePermit::will_have_lease() const noexcept {
  return deps_.membership.lease_until() > deps_.clock.now() + kPermitPeriod + kPermitCall;
}

Task<> WritePermit::renew_regularly(WritePermit* self) {
  while (!self->stopping_) {
    if (!self->will_have_lease()) co_await self->ask_for_permit();
    if (self->stopping_) co_return;
    if (std::exchange(self->wrote_, self->may_write()) != self->wrote_)
      log::warn("without a membership lease: writes are {}", self->wrote_ ? "accepted again" : "refused");
    self->wake_.reset();
    co_await self->wake_.wait_until(self->deps_.clock, self->deps_.clock.now() + kPermitPeriod);
  }
}

void WritePermit::set_nodes(std::vector<NodeName> nodes) {
  nodes.push_back(self_);
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  {
    const TimePoint now = deps_.clock.now();
    const std::scoped_lock lock(nodes_mutex_, seen_->mutex);
    for (const NodeName& node : nodes)
      if (!std::binary_search(nodes_.begin(), nodes_.end(), node)) seen_->gone.emplace(node, now);
    nodes_ = std::move(nodes);
  }
  const auto members = deps_.membership.members();
  const std::lock_guard lock(seen_->mutex);
  for (const control::MemberPtr& member : members) seen_->gone.erase(member->name);
}

std::vector<NodeName> WritePermit::nodes() const {
  const std::lock_guard lock(nodes_mutex_);
  return nodes_;
}

Task<> WritePermit::wait_for_one(TimePoint until) {
  while (!may_write() && deps_.clock.now() < until) co_await sleep_for(deps_.clock, kPermitLook);
}

Task<> WritePermit::ask_for_permit() {
  const TimePoint asked = deps_.clock.now();
  const std::uint64_t revision = deps_.membership.known_revision();
  if (revision == 0) co_return;  // nothing is known yet
  if (deps_.membership.displaced()) co_return;
  Ctx ctx{deps_.home, asked + kPermitCall, "permit"};
  const std::vector<NodeName> all = nodes();
  const std::shared_ptr<Answers> fan = co_await ask_all(ctx, all, revision, true);
  std::size_t know_no_more = 1;  // this one
  for (const auto& answer : fan->answers())
    know_no_more += answer && *answer && (*answer)->revision <= revision ? 1 : 0;
  if (know_no_more >= majority_of(all)) permitted_until_ = (asked + kPermitLife).time_since_epoch().count();
}

// Not of this node itself.
Task<std::shared_ptr<WritePermit::Answers>> WritePermit::ask_all(Ctx& ctx, std::vector<NodeName> nodes,
                                                                 std::uint64_t revision, bool for_permit) {
  auto fan = std::make_shared<Answers>(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] == self_) continue;
    fan->start(ctx.shard.executor(), gate_, i, ask(this, ctx, nodes[i], revision, for_permit));
  }
  co_await fan->wait_all(deps_.clock, ctx.deadline);
  co_return fan;
}

Task<Result<WritePermit::Said>> WritePermit::ask(WritePermit* self, Ctx ctx, NodeName node,
                                                 std::uint64_t revision, bool for_permit) {
  pb::RevisionQuestion question;
  question.set_revision(revision);
  question.set_for_permit(for_permit);
  question.set_process(self->deps_.process);
  PeerCall call;
  call.method = "control.revision";
  call.head = question.SerializeAsString();
  std::vector<disk::BlockTarget> nowhere;
  auto asking = self->deps_.transport.call(ctx, node, std::move(call), std::move(nowhere));
  const Result<PeerAnswer> answer = co_await std::move(asking);
  if (!answer) co_return tl::unexpected<Error>(answer.error());
  pb::RevisionAnswer in;
  if (!in.ParseFromString(answer->head) || in.revision() == 0)
    co_return fail(Errc::malformed, "what a node says of its revision");
  Said said;
  said.revision = in.revision();
  said.somebody_asked = in.somebody_asked();
  co_return said;
}

Task<Result<PeerAnswer>> WritePermit::serve(Ctx& ctx, const NodeName& from, PeerCall call) {
  if (ctx.deadline < deps_.clock.now()) co_return fail(Errc::deadline, "arrived too late");
  if (call.method != "control.revision")
    co_return fail(Errc::unsupported_version, "no call " + call.method.substr(0, 64));
  pb::RevisionQuestion in;
  if (call.head.size() > kMaxCallHead || !in.ParseFromString(call.head))
    co_return fail(Errc::malformed, "a question about the revision");
  if (deps_.membership.displaced())
    co_return fail(Errc::unavailable, "another process is the member " + self_);
  if (in.for_permit() && is_another(from, in.process()))
    co_return fail(Errc::unavailable, "another process is the member " + from);
  const std::vector<NodeName> all = nodes();
  std::uint64_t known = deps_.membership.known_revision();
  // Who knows less than this node is given nothing, so there is nothing to remember of it: it asks as long as
  // it is cut off, and would be waited for as long.
  if (in.for_permit() && known <= in.revision() && std::binary_search(all.begin(), all.end(), from)) {
    {
      const TimePoint now = deps_.clock.now();
      const std::lock_guard lock(seen_->mutex);
      seen_->asked[from] = now;
    }
    known = deps_.membership.known_revision();  // only now: whoever asks later is told of more
  }
  pb::RevisionAnswer out;
  out.set_revision(known);
  out.set_somebody_asked(was_asked_by_other(from));
  if (out.revision() == 0) co_return fail(Errc::unavailable, "this node knows nothing yet");
  PeerAnswer answer;
  answer.head = out.SerializeAsString();
  co_return answer;
}

// Than the member of that name; where one of them is not known, nothing is said against it.
bool WritePermit::is_another(const NodeName& node, const std::string& process) const {
  if (process.empty()) return false;
  for (const control::MemberPtr& member : deps_.membership.members())
    if (member->name == node) return !member->process.empty() && member->process != process;
  return false;
}

// So that what it was told may still have an effect.
bool WritePermit::was_asked_by_other(const NodeName& than) const {
  const TimePoint since = deps_.clock.now() - (kPermitLife + kWriteLife);
  if (since < started_) return true;  // what was said before is not known
  const std::lock_guard lock(seen_->mutex);
  return std::any_of(seen_->asked.begin(), seen_->asked.end(),
                     [&](const auto& entry) { return entry.first != than && entry.second > since; });
}

// Of nodes that are no members: what they write because they had a lease.
TimePoint WritePermit::lease_writes_end(const std::vector<NodeName>& nodes) const {
  TimePoint end = TimePoint::min();
  const TimePoint now = deps_.clock.now();
  const std::lock_guard lock(seen_->mutex);
  for (const NodeName& node : nodes) {
    const auto gone = seen_->gone.find(node);
    const TimePoint since = gone == seen_->gone.end() ? now : gone->second;  // it came and went just now
    end = std::max(end, since + kWriteGrace + kWriteLife);
  }
  return end;
}

Task<Result<>> WritePermit::wait_until_known(Ctx& ctx, std::uint64_t revision) {
  if (deps_.membership.displaced())
    co_return fail(Errc::unavailable, "another process is the member " + self_);
  CO_TRY_VOID(co_await deps_.membership.wait_until_known(ctx, revision));
  const TimePoint confirmed = deps_.clock.now();
  std::vector<NodeName> know{self_}, away;
  for (const control::MemberPtr& member : deps_.membership.members())
    if (member->revision >= revision && member->name != self_) know.push_back(member->name);
  std::sort(know.begin(), know.end());
  const std::vector<NodeName> all = nodes();
  std::set_difference(all.begin(), all.end(), know.begin(), know.end(), std::back_inserter(away));
  if (away.empty()) co_return Result<>();
  const std::size_t confirming = all.size() - away.size();
  if (confirming < majority_of(all))
    co_return fail(Errc::unavailable, "no majority of the nodes has confirmed the change");
  TimePoint end = lease_writes_end(away);
  Ctx asking = ctx;
  asking.deadline = std::min(ctx.deadline, confirmed + kPermitCall);
  const std::shared_ptr<Answers> fan = co_await ask_all(asking, know, revision, false);
  std::size_t told_nobody = was_asked_by_other(self_) ? 0 : 1;
  for (const auto& answer : fan->answers()) told_nobody += answer && *answer && !(*answer)->somebody_asked;
  // A permit takes a majority; those that told nobody are in none.
  if (all.size() - told_nobody >= majority_of(all)) end = std::max(end, confirmed + kPermitLife + kWriteLife);
  if (end <= deps_.clock.now()) co_return Result<>();
  if (end > ctx.deadline)
    co_return fail(Errc::unavailable, "a node that went away may still be writing; in a while it is not");
  co_await sleep_for(deps_.clock, end - deps_.clock.now());
  co_return Result<>();
}

}  // namespace ostraka::cluster
