// SimFs: the files of a SimMachine as one process sees them. SimIndexes: its indexes, each of which lies in a
// folder of a device and shares its fate.
#pragma once

#include <memory>
#include <string>

#include "disk/meta_index.h"
#include "runtime/fs.h"
#include "tests/sim/sim_machine.h"

namespace ostraka::sim {

class SimFs final : public Fs {
 public:
  SimFs(SimMachine& machine, std::uint64_t incarnation) : machine_(machine), me_(incarnation) {}
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<> remove(const std::string& path) override;
  Result<> rename(const std::string& from, const std::string& to) override;
  Result<> make_dirs(const std::string& path) override;
  Result<> sync_dir(const std::string& path) override;
  Result<std::vector<std::string>> list_dir(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<FileId> identity(const std::string& path) override;
  Result<FileInfo> info(const std::string& path) override;
  Result<SpaceInfo> space(const std::string& path) override;
  Result<std::unique_ptr<Lock>> lock(const std::string& path) override;

  // A folder; for SimIndexes.
  struct Place {
    std::shared_ptr<Device> device;
    std::shared_ptr<Node> parent;  // nullptr: the root of a device
    std::string name;
    std::shared_ptr<Node> node;  // nullptr: the parent does not have it
  };
  Result<Place> find(const std::string& path) const;
  Result<Place> reach(const std::string& path, Access access);  // the call to the device, then find()

 private:
  SimMachine& machine_;
  const std::uint64_t me_;
};

class SimIndexes final : public disk::MetaIndexFactory {
 public:
  SimIndexes(SimMachine& machine, SimFs& fs, std::uint64_t incarnation)
      : machine_(machine), fs_(fs), me_(incarnation) {}
  Result<std::unique_ptr<disk::MetaIndex>> open(const std::string& folder, disk::IndexMode mode) override;

 private:
  SimMachine& machine_;
  SimFs& fs_;
  const std::uint64_t me_;
};

}  // namespace ostraka::sim
