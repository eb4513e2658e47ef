#include "cluster/errand_queue.h"

#include <utility>

#include "cluster/drive_message.h"
#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

using Ids = google::protobuf::RepeatedField<std::uint64_t>;

void add_id(Ids& ids, std::uint64_t id) {
  if (ids.size() < static_cast<int>(kMaxErrandIds)) ids.Add(id);
}

void add_ids(Ids& ids, const Ids& more) {
  for (const std::uint64_t id : more) add_id(ids, id);
}

}  // namespace

bool is_empty(const pb::Errands& errands) {
  return errands.retires().empty() && errands.unpin().empty() && errands.close_readers().empty() &&
         errands.end_writers().empty() && errands.keep_pins().empty() && errands.keep_writers().empty();
}

bool ErrandQueue::room_for(const pb::Errands::Retire& retire) const {
  return waiting_.retires_size() < static_cast<int>(kMaxRetiresWaiting) &&
         retire_bytes_ + retire.ByteSizeLong() <= kMaxErrandBytes;
}

void ErrandQueue::add(pb::Errands::Retire retire) {
  if (!room_for(retire)) {
    ++dropped_;
    return;
  }
  retire_bytes_ += retire.ByteSizeLong();
  *waiting_.add_retires() = std::move(retire);
}

void ErrandQueue::retire(const disk::ObjectRef& ref, VersionId id) {
  pb::Errands::Retire retire;
  put_key(*retire.mutable_key(), ref);
  put_version(*retire.mutable_version(), id);
  retire.set_until_ms(now_ms() + std::chrono::milliseconds(kRetireLife).count());
  const std::lock_guard lock(mutex_);
  add(std::move(retire));
}

void ErrandQueue::hold_pin(std::uint64_t pin) {
  const std::lock_guard lock(mutex_);
  pins_.emplace(pin, clock_.now());
}

void ErrandQueue::release_pin(std::uint64_t pin) {
  const std::lock_guard lock(mutex_);
  pins_.erase(pin);
  add_id(*waiting_.mutable_unpin(), pin);
}

void ErrandQueue::hold_writer(std::uint64_t writer) {
  const std::lock_guard lock(mutex_);
  writers_.emplace(writer, clock_.now());
}

void ErrandQueue::forget_writer(std::uint64_t writer) {
  const std::lock_guard lock(mutex_);
  writers_.erase(writer);
}

void ErrandQueue::end_writer(std::uint64_t writer, DataId data) {
  const std::lock_guard lock(mutex_);
  writers_.erase(writer);
  if (waiting_.end_writers_size() >= static_cast<int>(kMaxErrandIds)) return;
  pb::Errands::Writer& end = *waiting_.add_end_writers();
  end.set_writer(writer);
  end.set_data(put_uuid(data));
}

void ErrandQueue::close_reader(std::uint64_t reader) {
  const std::lock_guard lock(mutex_);
  add_id(*waiting_.mutable_close_readers(), reader);
}

void ErrandQueue::take(pb::Errands& out) {
  const std::lock_guard lock(mutex_);
  out.Clear();
  out.Swap(&waiting_);
  retire_bytes_ = 0;
}

void ErrandQueue::take_renewals(pb::Errands& out) {
  const TimePoint now = clock_.now();
  const auto renew = [now](Held& held, Ids& ids) {
    for (auto& [id, told] : held) {
      if (now - told < kPeerRenewal || ids.size() >= static_cast<int>(kMaxErrandIds)) continue;
      told = now;
      ids.Add(id);
    }
  };
  const std::lock_guard lock(mutex_);
  renew(pins_, *out.mutable_keep_pins());
  renew(writers_, *out.mutable_keep_writers());
}

void ErrandQueue::put_back(pb::Errands errands) {
  const std::lock_guard lock(mutex_);
  for (pb::Errands::Retire& retire : *errands.mutable_retires()) {
    if (retire.until_ms() < now_ms()) {
      ++dropped_;
      continue;
    }
    add(std::move(retire));
  }
  add_ids(*waiting_.mutable_unpin(), errands.unpin());
  add_ids(*waiting_.mutable_close_readers(), errands.close_readers());
  for (const pb::Errands::Writer& end : errands.end_writers())
    if (waiting_.end_writers_size() < static_cast<int>(kMaxErrandIds)) *waiting_.add_end_writers() = end;
  // renewals come round again
  for (const std::uint64_t pin : errands.keep_pins())
    if (const auto held = pins_.find(pin); held != pins_.end()) held->second -= kPeerRenewal;
  for (const std::uint64_t writer : errands.keep_writers())
    if (const auto held = writers_.find(writer); held != writers_.end()) held->second -= kPeerRenewal;
}

std::uint64_t ErrandQueue::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace ostraka::cluster
