#include "tests/sim/lock_watch.h"

#include <algorithm>
#include <utility>

namespace ostraka::sim {

void LockWatch::released(const cluster::NodeName& from, const std::vector<std::uint64_t>& ids) {
  std::erase_if(holders_, [&](const auto& entry) {
    const cluster::LockOwner& owner = entry.second;
    return owner.node == from && std::find(ids.begin(), ids.end(), owner.id) != ids.end();
  });
}

Task<Result<cluster::PeerAnswer>> LockWatch::serve(Ctx& ctx, const cluster::NodeName& from,
                                                   cluster::PeerCall call) {
  if (call.method == "lock.release") {
    const auto ids = cluster::take_lock_releases(call.head);
    if (ids) released(from, *ids);
  }
  std::optional<cluster::LockClaimCall> claim;
  if (call.method == "lock.claim") {
    auto taken = cluster::take_lock_claim(call.head);
    if (taken) claim = std::move(*taken);
    if (claim) released(from, claim->releases);
  }
  auto serving = server_.serve(ctx, from, std::move(call));
  Result<cluster::PeerAnswer> answer = co_await std::move(serving);
  if (!claim || !answer) co_return answer;
  const auto verdict = cluster::take_lock_verdict(answer->head);
  if (!verdict || *verdict != cluster::LockVerdict::granted) co_return answer;
  const auto before = holders_.find(claim->name);
  if (before != holders_.end() && before->second.node != from)
    probes_.hit("cluster: a commit lease goes on from a node that is not heard of");
  holders_[claim->name] = {from, claim->id};
  co_return answer;
}

}  // namespace ostraka::sim
