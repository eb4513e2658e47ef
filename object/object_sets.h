// ObjectSets: from bucket and key to the erasure set that holds it, and from a storage class to its geometry.
// Immutable, thread safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/placement.h"
#include "disk/drive.h"
#include "erasure/erasure_set.h"

namespace ostraka::object {

struct StorageClasses {
  erasure::Geometry standard;
  erasure::Geometry reduced;  // REDUCED_REDUNDANCY
};
// reduced_parity: parity shards of REDUCED_REDUNDANCY, 0: half of the standard ones, and at least one where
// there are any. The number of drives is that of the standard class. Errors: invalid_argument (more parity
// than the standard class has, or too many data shards).
Result<StorageClasses> make_storage_classes(erasure::Geometry standard, unsigned reduced_parity);

class ObjectSets {
 public:
  // sets: one for each placement group, in order; they and the placement outlive this.
  ObjectSets(const cluster::Placement& placement, std::vector<erasure::ErasureSet*> sets,
             StorageClasses classes);

  disk::ObjectRef object(BucketId bucket, const ObjectKey& key) const;
  disk::ObjectRef upload(BucketId bucket, const ObjectKey& key, const std::string& upload_id) const;
  disk::ObjectRef part(BucketId bucket, const ObjectKey& key, const std::string& upload_id,
                       std::uint32_t number) const;
  // Any row of the index.
  disk::ObjectRef row(BucketId bucket, disk::KeySpace space, const ObjectKey& key, std::string sub) const;
  erasure::ErasureSet& of(const disk::ObjectRef& ref) const noexcept { return *sets_[ref.group]; }
  erasure::ErasureSet& of_group(std::uint16_t group) const noexcept { return *sets_[group]; }
  const cluster::Placement& placement() const noexcept { return placement_; }
  erasure::Geometry geometry(std::string_view storage_class) const noexcept;
  // The record of a row (bucket, space, key, sub) as the set of its own group sees it; null when there is
  // none.
  Task<Result<std::shared_ptr<const disk::VersionRecord>>> read(Ctx& ctx, disk::ObjectRef ref) const;
  erasure::KeyReader reader() const;  // the same, for listings

 private:
  const cluster::Placement& placement_;
  const std::vector<erasure::ErasureSet*> sets_;
  const StorageClasses classes_;
};

}  // namespace ostraka::object
