// The part of EmbeddedControlStore about drives that are all that is left. Why that is safe: README.md.
#include <algorithm>

#include "cluster/embedded_control_store.h"
#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::cluster {
namespace {

constexpr Duration kLookTime = std::chrono::seconds(5);

}  // namespace

// Whether the drives of `have` are all that are left: enough that did not lose what they held since they last
// knew all documents, and every other one lost it.
Task<bool> EmbeddedControlStore::rest_is_lost(Ctx& ctx, std::vector<bool> have,
                                              std::optional<std::string> content) {
  if (!lost_drives_) co_return false;
  std::size_t survivors = 0;
  for (std::size_t slot = 0; slot < drives_.size(); ++slot) {
    if (!have[slot]) continue;
    std::string mark(kBehindRecord);
    const auto marked = co_await drives_[slot]->scan_system(ctx, std::move(mark), 1);
    if (!marked || replaced_[slot]) co_return false;
    survivors += marked->empty() ? 1U : 0U;
  }
  if (survivors < survivors_needed()) co_return false;
  // In a task of its own: a folder that hangs must not keep the lease.
  auto asking = std::make_shared<FanOut<std::vector<bool>>>(1);
  auto question = lost_drives_(ctx, std::move(content));
  asking->start(ctx.shard.executor(), background_, 0, std::move(question));
  const TimePoint until = std::min(ctx.deadline, clock_.now() + kLookTime);
  co_await asking->wait_all(clock_, until);
  const auto& lost = asking->answers()[0];
  if (!lost || lost->size() != drives_.size()) co_return false;
  for (std::size_t slot = 0; slot < drives_.size(); ++slot)
    if (!have[slot] && !(*lost)[slot]) co_return false;
  co_return true;
}

Task<bool> EmbeddedControlStore::others_are_lost(Ctx& ctx) {
  std::vector<bool> online(drives_.size());
  for (std::size_t slot = 0; slot < drives_.size(); ++slot) online[slot] = drives_[slot]->online();
  std::optional<std::string> content = replaced_content();
  const bool lost = co_await rest_is_lost(ctx, std::move(online), std::move(content));
  co_return lost;
}

std::optional<std::string> EmbeddedControlStore::replaced_content() const {
  if (!loaded()) return found_content_;
  const control::DocumentPtr document = get(replaced_document_);
  return document ? std::optional(document->content) : std::nullopt;
}

}  // namespace ostraka::cluster
