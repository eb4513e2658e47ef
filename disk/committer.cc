#include "disk/committer.h"

#include <boost/asio/post.hpp>

#include "base/fault_point.h"
#include "base/log.h"
#include "disk/op_batch.h"

namespace ostraka::disk {

Task<Result<OpAnswer>> submit_change(DriveCore& core, Committer& committer, Ctx& ctx,
                                     std::unique_ptr<DriveOp> op) {
  if (ctx.deadline < core.clock.now()) co_return fail(Errc::deadline);
  CO_TRY(life, core.noted(core.use()));
  op->deadline = ctx.deadline;
  op->shard = &ctx.shard;
  auto start = [&core, &committer, op = std::move(op)](Completion<Result<OpAnswer>> done) mutable {
    op->done = std::move(done);
    auto refused = committer.submit(std::move(op));
    if (refused) refused->done(fail(Errc::unavailable, core.path + ": too many changes wait for this drive"));
  };
  auto waiting = suspend<Result<OpAnswer>>(std::move(start));
  Result<OpAnswer> answer = co_await std::move(waiting);
  co_return core.noted(std::move(answer));
}

Committer::Committer(DriveCore& core, WorkersFactory& workers)
    : core_(core), thread_(workers.make("commit-" + std::to_string(core.expected.slot), 1)) {}

Committer::~Committer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  thread_->post([this] { last_step(); });  // after the steps that are posted
  thread_.reset();
}

void Committer::start() {
  post_step();
}

std::unique_ptr<DriveOp> Committer::submit(std::unique_ptr<DriveOp> op) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kMaxQueuedOps || waiting_bytes_ >= kMaxQueuedBytes || stopping_) return op;
    waiting_bytes_ += op->inline_shard.owner.size();
    waiting_.push_back(std::move(op));
    if (stepping_) return nullptr;  // the step that runs arranges for the next
    stepping_ = true;
  }
  post_step();
  return nullptr;
}

void Committer::submit_lazy(std::unique_ptr<DriveOp> op) {
  const std::lock_guard lock(mutex_);
  // Dropping a retire is harmless: the version stays as it is until a heal of the key retires it.
  if (lazy_.size() >= kMaxQueuedOps || stopping_) return;
  lazy_.push_back(std::move(op));
  if (stepping_ || lazy_.size() > 1) return;
  const TimePoint now = core_.clock.now();
  arrange(now + kRetireDelay, now);
}

void Committer::give_up_waiting() {
  Ops ops;
  {
    const std::lock_guard lock(mutex_);
    ops.swap(waiting_);
    waiting_bytes_ = 0;
  }
  if (!ops.empty()) refuse(ops, away());
}

void Committer::post_step() {
  thread_->post([this] { step(); });
}

void Committer::arrange(TimePoint at, TimePoint now) {
  if (at >= arranged_) return;
  arranged_ = at;
  thread_->post_after(at - now, [this, at] { timed_step(at); });
}

void Committer::timed_step(TimePoint at) {
  {
    const std::lock_guard lock(mutex_);
    if (at != arranged_) return;  // an earlier one took its place
    arranged_ = kNoDeadline;
    if (stepping_) return;
    stepping_ = true;
  }
  step();
}

void Committer::step() {
  take();
  const auto life = core_.open();
  if (life) {
    if (!ops_.empty()) run(life, ops_);
    const LaneMark mark(core_.health, Lane::commits, core_.clock);
    look_after(life);
  } else {
    if (!ops_.empty()) refuse(ops_, away());
    if (core_.health.may_open(core_.clock.now())) {
      try_to_reopen();
    } else {
      next_open_ = core_.clock.now() + kReopenMin;
    }
  }
  ops_.clear();
  const TimePoint next = core_.open() ? std::min(next_look_, next_space_) : next_open_;
  const TimePoint now = core_.clock.now();
  const std::lock_guard lock(mutex_);
  if (stopping_) return;  // the last step does the rest
  if (!waiting_.empty()) {
    post_step();
    return;
  }
  stepping_ = false;
  arrange(std::max(now, lazy_.empty() ? next : std::min(next, now + kRetireDelay)), now);
}

void Committer::last_step() {
  take();
  const auto life = core_.open();
  if (life) {
    if (!ops_.empty()) run(life, ops_);
  } else if (!ops_.empty()) {
    refuse(ops_, away());
  }
  ops_.clear();
  batch_.reset();
  if (core_.open() && core_.check_folder(*life)) life->index->prepare_close();
}

void Committer::take() {
  const std::lock_guard lock(mutex_);
  ops_.swap(waiting_);
  waiting_bytes_ = 0;
  for (auto& op : lazy_) ops_.push_back(std::move(op));
  lazy_.clear();
}

Error Committer::away() const {
  return Error{Errc::unavailable, core_.path + ": " + core_.problem()};
}

void Committer::run(const std::shared_ptr<OpenDrive>& life, Ops& ops) {
  if (rows_of_.lock() != life) {
    rows_.clear();
    rows_of_ = life;
    batch_ = life->index->make_batch();
    out_of_space_ = false;
  }
  if (out_of_space_) resume(life);
  std::size_t first = 0;
  while (first < ops.size()) first = run_batch(life, ops, first);
}

std::size_t Committer::run_batch(const std::shared_ptr<OpenDrive>& life, Ops& ops, std::size_t first) {
  const CallTimer timer(core_.metrics.batch, core_.clock);
  const LaneMark mark(core_.health, Lane::commits, core_.clock);
  batch_->clear();
  const OpBatch::Parts parts{*life->index, *batch_,     rows_,        core_.groups,
                             *core_.files, core_.usage, core_.places, core_.expected.deployment};
  OpBatch batch(parts, core_.clock.unix_ms());
  std::vector<Result<OpAnswer>> answers;
  answers.reserve(std::min(ops.size() - first, kMaxBatchOps));
  const TimePoint now = core_.clock.now();
  bool waited_for = false;
  for (std::size_t i = first;
       i < ops.size() && answers.size() < kMaxBatchOps && batch.bytes() < kMaxBatchBytes; ++i) {
    waited_for |= static_cast<bool>(ops[i]->done);
    if (now > ops[i]->deadline) {
      answers.emplace_back(fail(Errc::deadline));
    } else {
      answers.push_back(batch.apply(*ops[i]));
    }
  }
  const std::size_t end = first + answers.size();
  fault_point("batch.before_write");
  Result<> written = batch.write();
  fault_point("batch.written");
  const bool index_failed = !written;
  if (written && waited_for) written = core_.check_folder(*life);
  batch.settle(written.has_value());
  if (written) {
    rows_.shrink();
    core_.space.wrote(batch_->bytes());
    core_.add_heal_entries(batch.heal_entries(), batch.heal_recorded());
    core_.metrics.batches.add();
    core_.metrics.batch_ops.add(answers.size());
    const TimePoint written_at = core_.clock.now();
    core_.health.told(CallKind::write, written_at - mark.begun(), std::nullopt, written_at);
  } else {
    rows_.clear();
    // Never `unavailable`, which says that nothing was begun: some of it may be durable.
    const Error error{index_failed && written.failed_with(Errc::no_space) ? Errc::no_space : Errc::io,
                      core_.path + ": " + written.error().detail};
    for (auto& answer : answers) answer = fail(error.code, error.detail);
    failed(life, written.error());
  }
  fault_point("batch.before_answer");
  answer(ops, first, std::move(answers));
  return end;
}

void Committer::failed(const std::shared_ptr<OpenDrive>& life, const Error& error) {
  if (error.code == Errc::no_space) {
    if (!out_of_space_) log::error("drive is full drive={} reason=\"{}\"", core_.path, error.detail);
    out_of_space_ = true;
    return;
  }
  // What a folder that is gone, or too many open files, make of an index does not count against the drive.
  if (error.code != Errc::overloaded && core_.check_folder(*life)) {
    const TimePoint now = core_.clock.now();
    core_.health.index_failed(now);
    core_.health.folder_is_good(now);
  }
  core_.go_offline(life, error.detail);
}

// Answers go to their shards in one message each; there the coroutines are resumed one by one.
void Committer::answer(Ops& ops, std::size_t first, std::vector<Result<OpAnswer>> answers) {
  struct Reply {
    Completion<Result<OpAnswer>> done;
    Result<OpAnswer> answer;
  };
  std::vector<std::pair<Shard*, std::vector<Reply>>> by_shard;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    DriveOp& op = *ops[first + i];
    if (!op.done) continue;
    auto at = std::find_if(by_shard.begin(), by_shard.end(),
                           [&](const auto& entry) { return entry.first == op.shard; });
    if (at == by_shard.end()) {
      by_shard.emplace_back(op.shard, std::vector<Reply>());
      at = by_shard.end() - 1;
    }
    at->second.push_back(Reply{std::move(op.done), std::move(answers[i])});
  }
  for (auto& [shard, replies] : by_shard) {
    if (replies.size() == 1) {
      replies[0].done(std::move(replies[0].answer));
      continue;
    }
    boost::asio::post(shard->executor(), [replies = std::move(replies)]() mutable {
      for (Reply& reply : replies) reply.done(std::move(reply.answer));
    });
  }
}

void Committer::refuse(Ops& ops, const Error& error) {
  std::vector<Result<OpAnswer>> answers;
  answers.reserve(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) answers.emplace_back(fail(error.code, error.detail));
  answer(ops, 0, std::move(answers));
}

void Committer::look_after(const std::shared_ptr<OpenDrive>& life) {
  const TimePoint now = core_.clock.now();
  const bool idle = ops_.empty();
  bool space = now >= next_space_, look = now >= next_look_;
  if (idle) space = look = space || look;  // it sleeps in between, and wakes once for both
  if (space) {
    next_space_ = now + (idle ? kHealthPeriod : kSpacePeriod);
    core_.refresh_space();
    if (out_of_space_) resume(life);
  }
  if (!look) return;
  next_look_ = now + kHealthPeriod;
  if (core_.open() != life) return;
  Result<> good = core_.check_folder(*life);
  if (good) good = core_.check_readable();
  if (good) good = life->index->health();
  if (!good) {
    failed(life, good.error());
  } else {
    core_.health.folder_is_good(core_.clock.now());
  }
}

void Committer::resume(const std::shared_ptr<OpenDrive>& life) {
  const auto resumed = life->index->resume();
  if (resumed) {
    out_of_space_ = false;
    log::info("drive takes writes again drive={}", core_.path);
  } else if (!resumed.failed_with(Errc::no_space)) {
    core_.go_offline(life, resumed.error().detail);  // opening it again is what helps then
  }
}

void Committer::try_to_reopen() {
  const TimePoint now = core_.clock.now();
  if (now < next_open_) return;
  const auto opened = core_.try_open();
  if (opened) {
    log::info("drive is back in service drive={} slot={}", core_.path, core_.expected.slot);
    reopen_after_ = kReopenMin;
    next_open_ = now + kReopenMin;  // should it fail again at once
    last_problem_.clear();
    return;
  }
  // Looking for a folder that is not there costs nothing; an index that fails to open is tried less and less
  // often.
  const bool cheap = opened.failed_with(Errc::not_found) || opened.failed_with(Errc::unavailable);
  reopen_after_ = cheap ? Duration(kReopenMin) : std::min<Duration>(reopen_after_ * 2, kReopenMax);
  next_open_ = now + reopen_after_;
  if (opened.failed_with(Errc::unavailable)) return;
  core_.set_problem(opened.error().detail);
  if (opened.error().detail == last_problem_) return;
  last_problem_ = opened.error().detail;
  log::error("drive stays offline drive={} slot={} reason=\"{}\"", core_.path, core_.expected.slot,
             last_problem_);
}

}  // namespace ostraka::disk
