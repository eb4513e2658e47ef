// The index of a simulated drive: a MemoryIndex that lives and dies with the device it lies on.
#include "tests/sim/sim_fs.h"

namespace ostraka::sim {
namespace {

using disk::Column;
using disk::IndexBatch;
using disk::IndexCursor;
using disk::Lookup;
using disk::MetaIndex;
using disk::Sync;
using disk::Tier;

class SimCursor final : public IndexCursor {
 public:
  SimCursor(SimMachine& machine, std::uint64_t me, std::shared_ptr<Device> device,
            std::unique_ptr<IndexCursor> inner)
      : machine_(machine), me_(me), device_(std::move(device)), inner_(std::move(inner)) {}
  void seek(std::string_view key) override {
    inner_->seek(key);
    look();
  }
  bool valid() const override { return status_.has_value() && inner_->valid(); }
  void next() override {
    inner_->next();
    look();
  }
  std::string_view key() const override { return inner_->key(); }
  std::string_view value() const override { return inner_->value(); }
  Result<> status() const override { return status_; }

 private:
  void look() {
    if (status_ && (!machine_.alive(me_) || device_->faults.pulled))
      status_ = fail(Errc::io, "no such device");
  }
  SimMachine& machine_;
  const std::uint64_t me_;
  const std::shared_ptr<Device> device_;
  const std::unique_ptr<IndexCursor> inner_;
  Result<> status_;
};

class SimIndex final : public MetaIndex {
 public:
  SimIndex(SimMachine& machine, std::uint64_t me, std::shared_ptr<Device> device,
           std::shared_ptr<Node> folder)
      : machine_(machine),
        me_(me),
        device_(std::move(device)),
        folder_(std::move(folder)),
        inner_(disk::open_memory_index(folder_->index)) {}

  Result<Lookup> get(Column column, std::string_view key, std::string& value, Tier tier) override {
    if (tier == Tier::memory) {
      if (!machine_.alive(me_) || device_->faults.pulled || machine_.random().chance(0.25)) {
        return Lookup::not_in_memory;
      }
    } else {
      TRY_VOID(machine_.call(me_, device_, Access::read));
    }
    return inner_->get(column, key, value, tier);
  }
  std::vector<disk::IndexValue> get_many(Column column, const std::vector<std::string>& keys) override {
    std::vector<disk::IndexValue> out(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i)
      out[i].found = get(column, keys[i], out[i].value, Tier::all);
    return out;
  }
  std::unique_ptr<IndexBatch> make_batch() override { return inner_->make_batch(); }
  Result<> write(IndexBatch& batch, Sync sync) override {
    if (broken_) return fail(Errc::io, "the log could not be written");
    const bool alive = machine_.alive(me_);
    const Result<> called = machine_.call(me_, device_, sync == Sync::yes ? Access::sync : Access::write);
    if (!called) {
      // The process died in the middle of it: the device may have it, or not.
      if (alive && machine_.incarnation == 0 && !device_->faults.pulled && machine_.random().chance(0.5)) {
        machine_.probes.hit("crash: a batch that was written and never answered");
        static_cast<void>(inner_->write(batch, Sync::yes));
      }
      broken_ = !called.failed_with(Errc::no_space);
      return called;
    }
    if (device_->faults.full) {
      machine_.probes.hit("fault: no space for the index");
      full_ = true;
      return fail(Errc::no_space, "no space left on device");
    }
    if (full_) return fail(Errc::no_space, "stopped for lack of space");
    const DeviceFaults& faults = device_->faults;
    const double errors =
        sync == Sync::yes ? std::max(faults.sync_errors, faults.write_errors) : faults.write_errors;
    if (errors > 0 && machine_.random().chance(errors)) {
      machine_.probes.hit("fault: the index could not be synced");
      folder_->index->write_uncertain(batch);
      broken_ = true;
      return fail(Errc::io, "input/output error");
    }
    return inner_->write(batch, sync);
  }
  std::unique_ptr<IndexCursor> scan(Column column, std::string_view lower, std::string_view upper) override {
    return std::make_unique<SimCursor>(machine_, me_, device_, inner_->scan(column, lower, upper));
  }
  Result<> health() override {
    if (broken_) return fail(Errc::io, "the log could not be written");
    if (full_) return fail(Errc::no_space, "stopped for lack of space");
    return {};
  }
  Result<> resume() override {
    if (broken_) return fail(Errc::io, "the log could not be written");
    if (device_->faults.full) return fail(Errc::no_space, "no space left on device");
    full_ = false;
    return {};
  }
  void prepare_close() override {
    if (machine_.call(me_, device_, Access::sync)) folder_->index->keep_unsynced();
  }

 private:
  SimMachine& machine_;
  const std::uint64_t me_;
  const std::shared_ptr<Device> device_;
  const std::shared_ptr<Node> folder_;
  const std::unique_ptr<MetaIndex> inner_;
  bool broken_ = false, full_ = false;
};

}  // namespace

Result<std::unique_ptr<MetaIndex>> SimIndexes::open(const std::string& folder, disk::IndexMode mode) {
  TRY(before, fs_.reach(folder, Access::read));
  if (!before.node) {
    if (mode == disk::IndexMode::existing) return fail(Errc::not_found, folder + ": no index there");
    TRY_VOID(fs_.make_dirs(folder));
  }
  TRY(place, fs_.find(folder));
  if (!place.node || !place.node->folder) return fail(Errc::io, folder + ": cannot be created");
  if (!place.node->index) {
    if (mode == disk::IndexMode::existing) return fail(Errc::corrupt, folder + ": no index in it");
    place.node->index = std::make_shared<disk::MemoryIndexStore>();
  }
  place.node->index->decide_uncertain(machine_.random().chance(0.5));
  std::unique_ptr<MetaIndex> index =
      std::make_unique<SimIndex>(machine_, me_, std::move(place.device), std::move(place.node));
  return index;
}

}  // namespace ostraka::sim
