// ObjectSets: from bucket and key to the erasure set that holds it, and from a storage class to its geometry.
// It follows the placement table while requests run. Thread safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/placement.h"
#include "disk/drive.h"
#include "erasure/erasure_set.h"
#include "object/group_set.h"

namespace ostraka::object {

struct StorageClasses {
  erasure::Geometry standard;
  erasure::Geometry reduced;  // REDUCED_REDUNDANCY
};
// reduced_parity: parity shards of REDUCED_REDUNDANCY, 0: half of the standard ones, and at least one where
// there are any. The number of drives is that of the standard class. Errors: invalid_argument (more parity
// than the standard class has, or too many data shards).
Result<StorageClasses> make_storage_classes(erasure::Geometry standard, unsigned reduced_parity);

// The placement table as it was at one moment, and the sets that its groups had then. Immutable. For whoever
// goes over many groups at once: each set has the drives that the table names, for as long as it is held.
// A drive that gave a slot away drops its rows once all nodes know the table that says so, and scans without
// them from then on. So whoever has scanned the drives of many groups looks at table() afterwards: if it
// gives another one, what they said is not to be trusted, and has to be asked anew. A page of a listing says
// by itself about which groups its drive cannot tell.
struct SetTable {
  std::shared_ptr<const cluster::Placement> placement;
  std::vector<SetPtr> sets;  // by group

  erasure::ErasureSet& of_group(std::uint16_t group) const noexcept { return *sets[group]; }
};
using SetTablePtr = std::shared_ptr<const SetTable>;

class ObjectSets {
 public:
  // A set for each placement group.
  ObjectSets(SetTablePtr table, StorageClasses classes);
  ObjectSets(const ObjectSets&) = delete;
  ObjectSets& operator=(const ObjectSets&) = delete;

  // From now on this table; groups whose drives are the same should have the same sets. One caller at a time.
  void follow(SetTablePtr table);
  // Of which groups a slot is on its way between drives, by group.
  void set_moving(const std::vector<bool>& moving) noexcept;
  bool any_moving() const noexcept;
  SetTablePtr table() const;

  disk::ObjectRef object(BucketId bucket, const ObjectKey& key) const;
  disk::ObjectRef upload(BucketId bucket, const ObjectKey& key, const std::string& upload_id) const;
  disk::ObjectRef part(BucketId bucket, const ObjectKey& key, const std::string& upload_id,
                       std::uint32_t number) const;
  // Any row of the index.
  disk::ObjectRef row(BucketId bucket, disk::KeySpace space, const ObjectKey& key, std::string sub) const;
  // The group's set, whichever drives it has just now; for as long as this lives.
  erasure::ErasureSet& of(const disk::ObjectRef& ref) const noexcept { return *groups_[ref.group]; }
  erasure::ErasureSet& of_group(std::uint16_t group) const noexcept { return *groups_[group]; }
  std::uint16_t group_of(BucketId bucket, std::string_view key) const noexcept {
    return first_->group_of(bucket, key);  // the same in every table
  }
  unsigned set_drives() const noexcept { return first_->set_drives(); }  // likewise
  erasure::Geometry geometry(std::string_view storage_class) const noexcept;
  // The record of a row (bucket, space, key, sub) as the set of its own group sees it; null when there is
  // none.
  Task<Result<std::shared_ptr<const disk::VersionRecord>>> read(Ctx& ctx, disk::ObjectRef ref) const;
  erasure::KeyReader reader() const;  // the same, for listings

 private:
  const std::shared_ptr<const cluster::Placement> first_;
  const StorageClasses classes_;
  std::vector<std::unique_ptr<GroupSet>> groups_;
  mutable std::mutex mutex_;
  SetTablePtr table_;
};

}  // namespace ostraka::object
