#include "object/object_sets.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "object/multipart_rules.h"

namespace ostraka::object {

Result<StorageClasses> make_storage_classes(erasure::Geometry standard, unsigned reduced_parity) {
  const unsigned drives = standard.drives();
  StorageClasses classes;
  classes.standard = standard;
  classes.reduced = standard;
  unsigned parity = reduced_parity;
  if (parity == 0) {
    const unsigned half = std::max(1U, standard.parity_shards / 2U);
    const unsigned least = drives > kMaxDataShards ? drives - kMaxDataShards : 0U;
    parity = std::min<unsigned>(standard.parity_shards, std::max(half, least));
  }
  if (parity > standard.parity_shards)
    return fail(Errc::invalid_argument, "REDUCED_REDUNDANCY with more parity than STANDARD");
  TRY(reduced, erasure::make_geometry(drives - parity, parity));
  classes.reduced = reduced;
  return classes;
}

ObjectSets::ObjectSets(SetTablePtr table, StorageClasses classes)
    : first_(table->placement), classes_(classes), table_(std::move(table)) {
  CHECK(table_->sets.size() == kPlacementGroups);
  for (const SetPtr& set : table_->sets) groups_.push_back(std::make_unique<GroupSet>(set));
}

void ObjectSets::follow(SetTablePtr table) {
  CHECK(table->sets.size() == kPlacementGroups);
  for (std::size_t group = 0; group < groups_.size(); ++group) groups_[group]->follow(table->sets[group]);
  SetTablePtr before;  // let go of when the lock is
  const std::lock_guard lock(mutex_);
  before = std::exchange(table_, std::move(table));
}

void ObjectSets::set_moving(const std::vector<bool>& moving) noexcept {
  for (std::size_t group = 0; group < groups_.size(); ++group)
    groups_[group]->set_moving(group < moving.size() && moving[group]);
}

bool ObjectSets::any_moving() const noexcept {
  return std::any_of(groups_.begin(), groups_.end(), [](const auto& group) { return group->moving(); });
}

SetTablePtr ObjectSets::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

disk::ObjectRef ObjectSets::row(BucketId bucket, disk::KeySpace space, const ObjectKey& key,
                                std::string sub) const {
  disk::ObjectRef ref;
  ref.bucket = bucket;
  ref.space = space;
  ref.key = key.get();
  ref.sub = std::move(sub);
  ref.group = group_of(bucket, ref.key);  // its set knows the epoch
  return ref;
}

disk::ObjectRef ObjectSets::object(BucketId bucket, const ObjectKey& key) const {
  return row(bucket, disk::KeySpace::object, key, {});
}

disk::ObjectRef ObjectSets::upload(BucketId bucket, const ObjectKey& key,
                                   const std::string& upload_id) const {
  return row(bucket, disk::KeySpace::upload, key, upload_id);
}

disk::ObjectRef ObjectSets::part(BucketId bucket, const ObjectKey& key, const std::string& upload_id,
                                 std::uint32_t number) const {
  return row(bucket, disk::KeySpace::part, key, part_sub(upload_id, number));
}

erasure::KeyReader ObjectSets::reader() const {
  return [this](Ctx& ctx, disk::ObjectRef ref) { return read(ctx, std::move(ref)); };
}

Task<Result<std::shared_ptr<const disk::VersionRecord>>> ObjectSets::read(Ctx& ctx,
                                                                          disk::ObjectRef ref) const {
  ref.group = group_of(ref.bucket, ref.key);
  auto elected = co_await of(ref).read(ctx, ref, false);
  if (elected.failed_with(Errc::not_found)) co_return nullptr;
  if (!elected) co_return tl::unexpected(std::move(elected).error());
  co_return elected->record;
}

erasure::Geometry ObjectSets::geometry(std::string_view storage_class) const noexcept {
  return storage_class == "REDUCED_REDUNDANCY" ? classes_.reduced : classes_.standard;
}

}  // namespace ostraka::object
