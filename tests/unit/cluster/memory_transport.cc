#include "tests/unit/cluster/memory_transport.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace ostraka::cluster {
namespace {

std::size_t bytes_of(const BufferChain& chain) {
  std::size_t bytes = 0;
  for (const Slice& slice : chain) bytes += slice.bytes.size();
  return bytes;
}

BufferChain copy_of(const BufferChain& chain) {
  BufferChain out;
  const std::size_t bytes = bytes_of(chain);
  if (bytes == 0) return out;
  Buffer all = Buffer::on_heap(bytes);
  std::size_t at = 0;
  for (const Slice& slice : chain) {
    std::memcpy(all.data() + at, slice.bytes.data(), slice.bytes.size());
    at += slice.bytes.size();
  }
  const ByteSpan span = all.span().first(bytes);
  out.push_back(Slice{std::move(all), span});
  return out;
}

Result<PeerAnswer> deliver(Result<PeerAnswer> answer, const std::vector<disk::BlockTarget>& into) {
  if (!answer || into.empty() || answer->body.empty()) return answer;
  std::size_t wanted = 0;
  for (const disk::BlockTarget& target : into) wanted += target.bytes.size();
  if (wanted != bytes_of(answer->body)) return fail(Errc::malformed, "an answer of another size");
  const BufferChain whole = copy_of(answer->body);
  std::size_t at = 0;
  for (const disk::BlockTarget& target : into) {
    std::memcpy(target.bytes.data(), whole[0].bytes.data() + at, target.bytes.size());
    at += target.bytes.size();
  }
  answer->body.clear();
  return answer;
}

}  // namespace

struct MemoryNetwork::Flight {
  NodeName from, to;
  CallFate fate;
  PeerCall call;
  TimePoint deadline;
  std::string request_id;
  Shard* caller = nullptr;
  bool over = false;  // the caller has been told something
  std::optional<Result<PeerAnswer>> told;
  Completion<Result<PeerAnswer>> waiting;

  void tell(Result<PeerAnswer> what) {
    if (std::exchange(over, true)) return;
    call.body.clear();  // what has not arrived never will
    if (waiting) {
      Completion<Result<PeerAnswer>> done = std::move(waiting);
      done(std::move(what));
    } else {
      told.emplace(std::move(what));
    }
  }
};

Task<> MemoryNetwork::carry(MemoryNetwork* self, std::shared_ptr<Flight> flight) {
  const CallFate& fate = flight->fate;
  if (fate.delay > Duration::zero()) co_await sleep_for(flight->caller->clock(), fate.delay);
  const auto node = self->nodes_.find(flight->to);
  const bool ended = flight->over && flight->call.stop && flight->call.stop->requested();
  if (fate.call_lost || ended || node == self->nodes_.end()) {
    if (fate.cut || flight->deadline == kNoDeadline) flight->tell(fail(Errc::closed, "injected"));
    co_return;
  }
  PeerService& service = *node->second.service;
  Ctx ctx{*node->second.shard, flight->deadline, flight->request_id};
  PeerCall call;
  call.method = flight->call.method;
  call.head = flight->call.head;
  call.body = copy_of(flight->call.body);
  flight->call.body.clear();
  if (fate.spoil_call) fate.spoil_call(call);
  auto serving = service.serve(ctx, flight->from, std::move(call));
  Result<PeerAnswer> answer = co_await std::move(serving);
  if (answer) answer->body = copy_of(answer->body);
  if (fate.spoil_answer) fate.spoil_answer(answer);
  if (fate.answer_delay > Duration::zero()) co_await sleep_for(ctx.shard.clock(), fate.answer_delay);
  if (!fate.answer_lost) {
    flight->tell(std::move(answer));
  } else if (fate.cut || flight->deadline == kNoDeadline) {
    flight->tell(fail(Errc::closed, "injected"));
  }
}

class MemoryNetwork::Line final : public Transport {
 public:
  Line(MemoryNetwork& network, NodeName from) : network_(network), from_(std::move(from)) {}

  Task<Result<PeerAnswer>> call(Ctx& ctx, const NodeName& node, PeerCall call,
                                std::vector<disk::BlockTarget> into) override {
    if (ctx.deadline < ctx.shard.clock().now()) co_return fail(Errc::deadline, "before it was sent");
    auto flight = std::make_shared<Flight>();
    if (network_.script_) flight->fate = network_.script_(from_, node, call);
    const auto to = network_.nodes_.find(node);
    if (flight->fate.refused) network_.refused_[{from_, node}] = ctx.shard.clock().now();
    if (flight->fate.refused) co_return fail(Errc::unavailable, "refused");
    if (flight->fate.unreachable || to == network_.nodes_.end())
      co_return fail(Errc::unavailable, "cannot be reached");
    network_.refused_.erase({from_, node});
    flight->from = from_;
    flight->to = node;
    flight->deadline = ctx.deadline;
    flight->request_id = ctx.request_id;
    flight->caller = &ctx.shard;
    const std::shared_ptr<CallStop> stop = call.stop;
    flight->call = std::move(call);
    if (!network_.gate_.spawn(to->second.shard->executor(), carry(&network_, flight)))
      co_return fail(Errc::unavailable, "the network is closed");
    if (stop) stop->on_request([flight] { flight->tell(fail(Errc::closed, "ended early")); });
    const auto timer = ctx.shard.clock().arm(ctx.shard.executor(), ctx.deadline,
                                             [flight] { flight->tell(fail(Errc::deadline, "no answer")); });
    auto wait = [flight](Completion<Result<PeerAnswer>> done) {
      if (flight->told) {
        done(std::move(*flight->told));
      } else {
        flight->waiting = std::move(done);
      }
    };
    auto waiting = suspend<Result<PeerAnswer>>(std::move(wait));
    Result<PeerAnswer> answer = co_await std::move(waiting);
    if (stop) stop->on_request({});
    co_return deliver(std::move(answer), into);
  }

  std::optional<TimePoint> refused_at(const NodeName& node) const override {
    const auto found = network_.refused_.find({from_, node});
    return found == network_.refused_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  MemoryNetwork& network_;
  const NodeName from_;
};

std::unique_ptr<Transport> MemoryNetwork::transport(NodeName from) {
  return std::make_unique<Line>(*this, std::move(from));
}

}  // namespace ostraka::cluster
