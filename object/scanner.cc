#include "object/scanner.h"

#include <algorithm>
#include <atomic>

#include "base/log.h"
#include "object/limits.h"
#include "object/pass_runner.h"
#include "object/scan_board.h"
#include "object/scan_state.h"
#include "runtime/event.h"
#include "runtime/shard.h"

namespace ostraka::object {
namespace {

constexpr Duration kFirstPassAfter = std::chrono::seconds(10);  // a start has other things to do
constexpr Duration kLookAgain = std::chrono::minutes(10);       // whether a pass is due
constexpr Duration kLookForLead = std::chrono::seconds(5);      // whether this node leads now
constexpr Duration kStateCall = std::chrono::seconds(30);
constexpr Duration kWaitStep = std::chrono::milliseconds(100);

}  // namespace

class Scanner::Impl {
 public:
  Impl(ScannerDeps deps, ScannerConfig config)
      : deps_(std::move(deps)),
        config_(config),
        board_(deps_.metrics),
        store_(deps_.drives, deps_.sets.geometry({}).parity_shards + 1U) {}

  void start_loop(Shard& shard) {
    shard_ = &shard;
    gate_.spawn(shard.executor(), loop(this));
  }

  Task<> close() {
    stopping_.store(true);
    if (shard_ != nullptr) gate_.spawn(shard_->executor(), poke(this));
    return gate_.close();
  }

  Result<std::uint64_t> start(bool deep) {
    std::uint64_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_.load()) return fail(Errc::closed, "the scanner has stopped");
      if (!loaded_) return fail(Errc::unavailable, "the scanner is starting");
      if (!leads()) {
        const std::string leader = deps_.leader ? deps_.leader() : "";
        return fail(Errc::unavailable, leader.empty() ? "no node leads the scanner just now: try again"
                                                      : "scans are made by " + leader + ": ask that node");
      }
      if (requested_) return fail(Errc::conflict, fmt::format("pass {} is under way", requested_->number));
      number = ++last_number_;
      requested_ = Request{number, deep, false};
      PassState pass;
      pass.number = number;
      pass.deep = deep;
      pass.on_demand = true;
      pass.started_ms = deps_.clock.unix_ms();
      board_.begin(pass);  // from now on it can be asked for
    }
    if (!gate_.spawn(shard_->executor(), poke(this))) return fail(Errc::closed, "the scanner has stopped");
    return number;
  }

  void cancel() {
    {
      const std::lock_guard lock(mutex_);
      if (!requested_) return;
      requested_->cancelled = true;
    }
    gate_.spawn(shard_->executor(), poke(this));
  }

  Task<Result<ScanPass>> wait(Ctx& ctx, std::uint64_t number) {
    for (;;) {
      if (!requested(number)) {
        const auto pass = board_.pass(number);
        if (!pass) co_return fail(Errc::not_found, "no such pass");
        if (pass->state != ScanPass::State::running) co_return *pass;
      }
      if (stopping_.load()) co_return fail(Errc::closed, "the scanner has stopped");
      if (deps_.clock.now() >= ctx.deadline) co_return fail(Errc::deadline, "the pass is still running");
      co_await sleep_for(deps_.clock, kWaitStep);
    }
  }

  const ScanBoard& board() const noexcept { return board_; }

  std::optional<std::int64_t> last_verified(BucketId bucket) const {
    const std::lock_guard lock(mutex_);
    const auto found = verified_.find(bucket);
    if (found == verified_.end()) return std::nullopt;
    return found->second;
  }
  std::optional<std::int64_t> last_deep_pass_ms() const {
    const std::lock_guard lock(mutex_);
    return deep_ms_;
  }

 private:
  struct Request {
    std::uint64_t number = 0;
    bool deep = false;
    bool cancelled = false;
  };

  bool requested(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    return requested_ && requested_->number == number;
  }
  std::optional<Request> request() const {
    const std::lock_guard lock(mutex_);
    return requested_;
  }
  bool cancelled() const {
    const std::lock_guard lock(mutex_);
    return requested_ && requested_->cancelled;
  }
  std::uint64_t take_number() {
    const std::lock_guard lock(mutex_);
    return ++last_number_;
  }

  // Something has changed that the loop should look at. On its shard.
  static Task<> poke(Impl* self) {
    self->wake_.set();
    if (self->runner_ != nullptr && self->runner_->told_to_end()) self->runner_->give_up();
    co_return;
  }

  static Task<> loop(Impl* self) {
    co_await self->load();
    const TimePoint first = self->deps_.clock.now() + kFirstPassAfter;
    while (!self->stopping_.load()) {
      const std::optional<Request> request = self->request();
      if (request) {
        co_await self->run_on_demand(*request);
        const std::lock_guard lock(self->mutex_);
        self->requested_.reset();
        continue;
      }
      const TimePoint now = self->deps_.clock.now();
      if (!co_await self->take_over()) {
        self->wake_.reset();
        const TimePoint next = now + kLookForLead;
        co_await self->wake_.wait_until(self->deps_.clock, next);
        continue;
      }
      const TimePoint due = std::max(first, now + self->until_due());
      if (due <= now) {
        co_await self->run_in_background();
        continue;
      }
      self->wake_.reset();
      co_await self->wake_.wait_until(self->deps_.clock, std::min(due, now + kLookAgain));
    }
  }

  bool leads() const { return !deps_.leads || deps_.leads(); }

  // Whether background passes are this node's. What another node has done is read when they become so.
  Task<bool> take_over() {
    if (!leads()) {
      led_ = false;
      co_return false;
    }
    if (!led_ && deps_.leads) co_await load();
    led_ = true;
    co_return leads();
  }

  Ctx ctx() { return Ctx{*shard_, deps_.clock.now() + kStateCall, "scanner"}; }

  Task<> load() {
    Ctx call = ctx();
    co_await store_.load(call);
    const std::lock_guard lock(mutex_);
    last_number_ = std::max(store_.state.last_number,
                            store_.state.background ? store_.state.background->number : std::uint64_t{0});
    if (store_.state.deep_ms != 0) deep_ms_ = store_.state.deep_ms;
    verified_ = store_.verified.since_ms;
    loaded_ = true;
  }

  Task<> save() {
    Ctx call = ctx();
    const Result<> saved = co_await store_.save_state(call);
    if (!saved) log::warn("the scanner's checkpoint could not be written reason={}", saved.error().detail);
  }

  // Zero: now.
  Duration until_due() const {
    if (config_.period <= Duration::zero()) return kLookAgain;
    if (store_.state.background) return Duration::zero();
    const Duration since = std::chrono::milliseconds(deps_.clock.unix_ms() - store_.state.background_ms);
    return std::clamp<Duration>(config_.period - since, Duration::zero(), config_.period);
  }

  PassDeps pass_deps(std::function<bool()> should_end) {
    return PassDeps{deps_, config_, *shard_, gate_, board_, store_, wake_, std::move(should_end)};
  }

  Task<bool> run(PassState& pass, std::function<bool()> should_end) {
    PassRunner runner(pass_deps(std::move(should_end)), pass);
    runner_ = &runner;
    board_.begin(pass);
    const bool complete = co_await runner.run();
    runner_ = nullptr;
    co_return complete;
  }

  Task<> run_on_demand(Request request) {
    PassState pass;
    pass.number = store_.state.last_number = request.number;
    pass.deep = request.deep;
    pass.on_demand = true;
    pass.started_ms = deps_.clock.unix_ms();
    log::info("a scan on demand begins pass={} deep={}", pass.number, pass.deep);
    std::function<bool()> should_end = [this] { return stopping_.load() || cancelled(); };
    const bool complete = co_await run(pass, std::move(should_end));
    if (complete && pass.deep) store_.state.background.reset();  // all that it would have done is done
    co_await conclude(pass, complete);
  }

  Task<> run_in_background() {
    if (!store_.state.background) {
      PassState& fresh = store_.state.background.emplace();
      fresh.number = store_.state.last_number = take_number();
      fresh.deep = true;
      fresh.started_ms = deps_.clock.unix_ms();
      co_await save();
    }
    std::function<bool()> should_end = [this] {
      return stopping_.load() || request().has_value() || !leads();
    };
    const bool complete = co_await run(*store_.state.background, std::move(should_end));
    if (!complete) {
      if (leads()) co_await save();  // who leads now has gone on from the last checkpoint
      co_return;
    }
    PassState pass = std::move(*store_.state.background);
    store_.state.background.reset();
    co_await conclude(pass, true);
  }

  Task<> conclude(const PassState& pass, bool complete) {
    const std::int64_t now_ms = deps_.clock.unix_ms();
    if (complete) {
      store_.state.ended_ms = now_ms;
      if (pass.deep) {
        store_.state.background_ms = store_.state.deep_ms = pass.started_ms;
        co_await note_verified(pass);
      }
    }
    co_await save();
    const ScanTotals& totals = pass.totals;
    log::info(
        "a scan {} pass={} deep={} keys={} verified_bytes={} damaged={} repaired={} lost={} orphans={} "
        "not_verified={}",
        complete ? "is complete" : "was cancelled", pass.number, pass.deep, totals.keys,
        totals.bytes_verified, totals.damaged, totals.repaired, totals.lost, totals.orphan_files,
        totals.not_verified);
    board_.end(pass, complete ? ScanPass::State::done : ScanPass::State::cancelled, now_ms);
  }

  // Buckets made after the pass began may lie behind its way.
  Task<> note_verified(const PassState& pass) {
    auto& since = store_.verified.since_ms;
    std::map<BucketId, std::int64_t> next;
    for (const BucketInfo& bucket : deps_.buckets.list()) {
      const bool whole = !pass.all_incomplete && !pass.incomplete.contains(bucket.id);
      if (whole && bucket.created_ms <= pass.started_ms)
        next[bucket.id] = pass.started_ms;
      else if (const auto before = since.find(bucket.id); before != since.end())
        next[bucket.id] = before->second;
    }
    since = std::move(next);
    {
      const std::lock_guard lock(mutex_);
      verified_ = since;
      deep_ms_ = pass.started_ms;
    }
    Ctx call = ctx();
    const Result<> saved = co_await store_.save_verified(call);
    if (!saved)
      log::warn("since when buckets are verified could not be written reason={}", saved.error().detail);
  }

  const ScannerDeps deps_;
  const ScannerConfig config_;
  Gate gate_;
  Shard* shard_ = nullptr;
  ScanBoard board_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::optional<Request> requested_;  // until its pass is over
  bool loaded_ = false;
  std::uint64_t last_number_ = 0;
  std::map<BucketId, std::int64_t> verified_;
  std::optional<std::int64_t> deep_ms_;
  // of the loop's shard
  ScanStateStore store_;
  bool led_ = false;  // at the last look
  Event wake_;
  PassRunner* runner_ = nullptr;
};

Scanner::Scanner(ScannerDeps deps, ScannerConfig config)
    : impl_(std::make_unique<Impl>(std::move(deps), config)) {}

Scanner::~Scanner() = default;

void Scanner::start_loop(Shard& shard) {
  impl_->start_loop(shard);
}

Task<> Scanner::close() {
  return impl_->close();
}

Result<std::uint64_t> Scanner::start(bool deep) {
  return impl_->start(deep);
}

void Scanner::cancel() {
  impl_->cancel();
}

Task<Result<ScanPass>> Scanner::wait(Ctx& ctx, std::uint64_t number) {
  return impl_->wait(ctx, number);
}

ScanPass Scanner::status() const {
  return impl_->board().status();
}

std::optional<ScanReport> Scanner::report(std::uint64_t number) const {
  return impl_->board().report(number);
}

std::optional<std::int64_t> Scanner::last_verified(BucketId bucket) const {
  return impl_->last_verified(bucket);
}

std::optional<std::int64_t> Scanner::last_deep_pass_ms() const {
  return impl_->last_deep_pass_ms();
}

}  // namespace ostraka::object
