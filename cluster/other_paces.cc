#include "cluster/other_paces.h"

#include <algorithm>
#include <utility>

#include "cluster/limits.h"
#include "cluster/move_message.h"

namespace ostraka::cluster {

OtherPaces::OtherPaces(Transport& transport, Clock& clock, Nodes nodes)
    : transport_(transport), clock_(clock), nodes_(std::move(nodes)) {}

void OtherPaces::ask(double work, bool resting) {
  const TimePoint now = clock_.now();
  if (shard_ == nullptr || (resting == asked_resting_ && now - asked_at_ < kMovePaceEvery)) return;
  asked_at_ = now;
  asked_resting_ = resting;
  const std::vector<NodeName> nodes = nodes_();
  std::erase_if(others_, [&nodes](const auto& one) {
    return !one.second.asked && std::find(nodes.begin(), nodes.end(), one.first) == nodes.end();
  });
  const std::size_t count = std::min(nodes.size(), kMovePaceNodes);
  for (std::size_t i = 0; i < count; ++i) {
    const NodeName& node = nodes[next_++ % nodes.size()];
    Other& other = others_.try_emplace(node, Other{work}).first->second;
    if (other.asked) continue;
    other.asked = true;
    const double since = work - std::exchange(other.told, work);
    Ctx ctx{*shard_, now + kMovePaceCall, "move-pace"};
    gate_.spawn(shard_->executor(), ask_one(this, std::move(ctx), node, since, resting));
  }
}

Task<> OtherPaces::ask_one(OtherPaces* self, Ctx ctx, NodeName node, double work, bool resting) {
  PeerCall call;
  call.method = "drive.move_pace";
  call.head = put_pace_question({static_cast<std::uint64_t>(std::max(work, 0.0)), resting});
  std::vector<disk::BlockTarget> nowhere;
  auto asking = self->transport_.call(ctx, node, std::move(call), std::move(nowhere));
  const Result<PeerAnswer> answer = co_await std::move(asking);
  const auto at = self->others_.find(node);
  if (at == self->others_.end()) co_return;
  at->second.asked = false;
  if (!answer) co_return;  // away, or of a release that does not judge
  const auto share = take_pace_answer(answer->head);
  if (!share) co_return;
  at->second.share = *share;
  at->second.answered = self->clock_.now();
}

double OtherPaces::share() const {
  double least = 1;
  const TimePoint now = clock_.now();
  for (const auto& [node, other] : others_)
    if (other.answered != TimePoint{} && now - other.answered < kMovePaceLife)
      least = std::min(least, other.share);
  return least;
}

}  // namespace ostraka::cluster
