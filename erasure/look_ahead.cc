#include "erasure/look_ahead.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "erasure/heal_look.h"
#include "erasure/limits.h"
#include "erasure/set_core.h"
#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::erasure {
namespace {

using Answer = Result<std::vector<Result<disk::Held>>>;

// One drive's call. It may still be out when nobody waits for it any more.
struct DriveCall {
  disk::Drive* drive = nullptr;
  StalledCallsPtr stalled;
  enum State : std::uint8_t { out, answered, given_up } state = out;
};

Task<Answer> call_drive(CorePtr core, std::shared_ptr<DriveCall> call, Ctx ctx,
                        std::vector<disk::KeyRead> reads) {
  Answer answer = co_await call->drive->read_many(ctx, std::move(reads));
  if (call->state == DriveCall::given_up) call->stalled->answered(core->context.clock.now());
  call->state = DriveCall::answered;
  co_return answer;
}

class LookAhead {
 public:
  LookAhead(const Ctx& ctx, std::vector<KeyAhead> keys)
      : ctx_(ctx),
        keys_(std::move(keys)),
        core_(keys_.front().set->core()),
        began_(core_->context.clock.now()) {}

  Task<std::vector<KeyLookPtr>> run() {
    for (std::size_t i = 0; i < keys_.size(); ++i) begin_key(i);
    const auto fan = std::make_shared<FanOut<Answer>>(to_ask_.size());
    for (std::size_t i = 0; i < to_ask_.size(); ++i) {
      Task<Answer> call = call_drive(core_, to_ask_[i].call, ctx_, std::move(to_ask_[i].reads));
      fan->start(ctx_.shard.executor(), core_->context.background, i, std::move(call));
    }
    co_await fan->wait_all(core_->context.clock, std::min(ctx_.deadline, began_ + kHealCallWait));
    const TimePoint now = core_->context.clock.now();
    for (std::size_t i = 0; i < to_ask_.size(); ++i) {
      take(to_ask_[i], fan->answers()[i]);
      DriveCall& call = *to_ask_[i].call;
      if (call.state != DriveCall::out || now - began_ < core_->context.hedge_after) continue;
      call.state = DriveCall::given_up;
      call.stalled->given_up(now);
    }
    conclude_all();
    co_return std::move(looks_);
  }

 private:
  struct Place {
    std::size_t key = 0;
    unsigned slot = 0;
  };
  struct Asked {
    std::shared_ptr<DriveCall> call;
    std::vector<disk::KeyRead> reads;
    std::vector<Place> places;  // of the reads
  };

  void begin_key(std::size_t i) {
    KeyAhead& key = keys_[i];
    const CorePtr of_set = key.set->core();
    const SetCore& core = *of_set;
    KeyLookPtr& look = looks_.emplace_back();
    for (unsigned slot = 0; slot < core.size(); ++slot)
      if (core.slow(slot)) return;
    look = std::make_shared<KeyLook>();
    key.ref = core.stamped(std::move(key.ref));
    look->told = key.ref.epoch;
    look->began = began_;
    look->sparing = true;
    look->inline_of = key.inline_of;
    look->reading.answers.resize(core.size());
    for (unsigned slot = 0; slot < core.size(); ++slot) {
      if (!core.drives[slot]->online()) {
        look->reading.answers[slot].emplace(fail(Errc::unavailable, "the drive is out of service"));
        continue;
      }
      Asked& asked = of(core, slot);
      disk::KeyRead& read = asked.reads.emplace_back();
      read.ref = key.ref;
      read.spec.with_inline = look->asked_for_inline(slot);
      asked.places.push_back(Place{i, slot});
    }
  }

  Asked& of(const SetCore& core, unsigned slot) {
    for (Asked& asked : to_ask_)
      if (asked.call->drive == core.drives[slot]) return asked;
    Asked& asked = to_ask_.emplace_back();
    asked.call = std::make_shared<DriveCall>();
    asked.call->drive = core.drives[slot];
    asked.call->stalled = core.stalled[slot];
    return asked;
  }

  void take(const Asked& asked, std::optional<Answer>& answer) {
    const std::size_t given = answer && *answer ? std::min((**answer).size(), asked.places.size()) : 0;
    for (std::size_t i = 0; i < given; ++i) {
      const KeyLookPtr& look = looks_[asked.places[i].key];
      if ((**answer)[i]) look->reading.answers[asked.places[i].slot].emplace(std::move((**answer)[i]));
    }
  }

  void conclude_all() {
    for (KeyLookPtr& look : looks_) {
      if (!look) continue;
      const auto& answers = look->reading.answers;
      if (std::all_of(answers.begin(), answers.end(), [](const auto& one) { return one.has_value(); }))
        conclude(*look);
      else
        look.reset();
    }
  }

  const Ctx ctx_;
  std::vector<KeyAhead> keys_;
  const CorePtr core_;  // for what is the same in all sets
  const TimePoint began_;
  std::vector<KeyLookPtr> looks_;  // by key
  std::vector<Asked> to_ask_;      // by drive
};

}  // namespace

std::uint32_t inline_sources(const ErasureSet& set, std::string_view row, std::uint32_t holders) {
  const auto state = disk::decode_key_row(row);
  if (!state || state->versions.empty() || !state->versions.front().has_inline) return 0;
  unsigned wanted = state->versions.front().data_shards;
  std::uint32_t out = 0;
  for (const std::uint8_t slot : set.core()->preference()) {
    if (wanted == 0) break;
    if ((holders >> slot & 1U) == 0) continue;
    out |= std::uint32_t{1} << slot;
    --wanted;
  }
  return out;
}

Task<std::vector<KeyLookPtr>> look_ahead(Ctx ctx, std::vector<KeyAhead> keys) {
  if (keys.empty()) co_return std::vector<KeyLookPtr>();
  LookAhead look(ctx, std::move(keys));
  co_return co_await look.run();
}

}  // namespace ostraka::erasure
