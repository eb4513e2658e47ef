#include "tests/sim/sim_fs.h"

#include <algorithm>

namespace ostraka::sim {
namespace {

constexpr std::uint64_t kTotalBytes = 100ULL << 30;

tl::unexpected<Error> missing(const std::string& path) {
  return fail(Errc::not_found, path + ": no such file or directory");
}

class SimFile final : public File {
 public:
  SimFile(SimMachine& machine, std::uint64_t me, std::string path, std::shared_ptr<Device> device,
          std::shared_ptr<Node> node)
      : machine_(machine),
        me_(me),
        path_(std::move(path)),
        device_(std::move(device)),
        node_(std::move(node)) {}

  Result<std::size_t> pread(MutableByteSpan out, std::uint64_t offset) override {
    TRY_VOID(machine_.call(me_, device_, Access::read));
    return read(out, offset);
  }
  Result<std::size_t> pread_now(MutableByteSpan out, std::uint64_t offset) override {
    if (!machine_.alive(me_) || device_->faults.pulled || machine_.random().chance(0.4)) {
      return fail(Errc::unavailable);
    }
    return read(out, offset);
  }
  Result<> pwritev(std::span<const ByteSpan> parts, std::uint64_t offset) override {
    if (machine_.dying(me_) && !device_->faults.pulled && !device_->faults.full) cut_off(parts, offset);
    TRY_VOID(machine_.call(me_, device_, Access::write));
    if (device_->faults.full) {
      machine_.probes.hit("fault: no space");
      return fail(Errc::no_space, path_ + ": no space left on device");
    }
    node_->modified_ms = machine_.scheduler.clock().unix_ms();
    SimRandom& random = machine_.random();
    for (const ByteSpan part : parts) {
      if (device_->faults.misdirected > 0 && random.chance(device_->faults.misdirected)) {
        misdirect(part);
      } else if (!part.empty() && device_->faults.flipped > 0 && random.chance(device_->faults.flipped)) {
        machine_.probes.hit("fault: a bit flipped on its way");
        std::vector<std::uint8_t> bytes(part.begin(), part.end());
        bytes[random.below(bytes.size())] ^= static_cast<std::uint8_t>(1U << random.below(8));
        SimDisk::write(*node_, bytes, offset);
      } else {
        SimDisk::write(*node_, part, offset);
      }
      offset += part.size();
    }
    return {};
  }
  Result<> sync() override {
    TRY_VOID(machine_.call(me_, device_, Access::sync));
    if (device_->faults.sync_errors > 0 && machine_.random().chance(device_->faults.sync_errors)) {
      machine_.probes.hit("fault: a failed sync");
      SimDisk::fail_sync(*node_);
      return fail(Errc::io, path_ + ": input/output error");
    }
    SimDisk::sync(*node_);
    return {};
  }
  Result<std::uint64_t> size() override {
    TRY_VOID(machine_.call(me_, device_, Access::look));
    return node_->content.size();
  }

 private:
  std::size_t read(MutableByteSpan out, std::uint64_t offset) const {
    if (offset >= node_->content.size()) return 0;
    const std::size_t count = std::min<std::size_t>(out.size(), node_->content.size() - offset);
    std::copy_n(node_->content.data() + offset, count, out.begin());
    return count;
  }
  // Some of it has been written when the process dies.
  void cut_off(std::span<const ByteSpan> parts, std::uint64_t offset) {
    SimRandom& random = machine_.random();
    machine_.probes.hit("crash: a write that was cut off");
    for (const ByteSpan part : parts) {
      const std::size_t count = random.chance(0.5) ? part.size() : random.below(part.size() + 1);
      SimDisk::write(*node_, part.first(count), offset);
      if (count < part.size()) return;
      offset += count;
    }
  }
  // The device writes the bytes, but to a wrong place: of this file or of another.
  void misdirect(ByteSpan bytes) {
    machine_.probes.hit("fault: a misdirected write");
    SimRandom& random = machine_.random();
    const auto files = device_->disk.files();
    Node& target = random.chance(0.5) || files.empty() ? *node_ : *files[random.below(files.size())];
    if (target.content.empty()) return;
    const std::uint64_t offset = random.below(target.content.size());
    const std::size_t count = std::min<std::size_t>(bytes.size(), target.content.size() - offset);
    SimDisk::write(target, bytes.first(count), offset);
  }

  SimMachine& machine_;
  const std::uint64_t me_;
  const std::string path_;
  const std::shared_ptr<Device> device_;
  const std::shared_ptr<Node> node_;
};

class SimLock final : public Fs::Lock {
 public:
  SimLock(std::shared_ptr<Node> node, std::uint64_t me) : node_(std::move(node)), me_(me) {}
  SimLock(const SimLock&) = delete;
  SimLock& operator=(const SimLock&) = delete;
  ~SimLock() override {
    if (node_->locked_by == me_) node_->locked_by = 0;
  }

 private:
  const std::shared_ptr<Node> node_;
  const std::uint64_t me_;
};

}  // namespace

Result<SimFs::Place> SimFs::find(const std::string& path) const {
  Place place;
  place.device = machine_.root;
  place.node = machine_.root->disk.root();
  std::size_t at = 0;
  for (bool first = true; at < path.size(); first = false) {
    const std::size_t begin = path.find_first_not_of('/', at);
    if (begin == std::string::npos) break;
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    at = end;
    if (first) {
      const auto bay = machine_.bays.find(name);
      if (bay != machine_.bays.end() && bay->second) {
        place.device = bay->second;
        place.node = bay->second->disk.root();
        continue;
      }
    }
    if (!place.node || !place.node->folder) return missing(path);
    place.parent = place.node;
    place.name = name;
    const auto child = place.parent->names.find(name);
    place.node = child == place.parent->names.end() ? nullptr : child->second;
  }
  return place;
}

Result<SimFs::Place> SimFs::reach(const std::string& path, Access access) {
  const auto before = find(path);
  TRY_VOID(machine_.call(me_, before ? before->device : nullptr, access));
  return find(path);
}

Result<std::unique_ptr<File>> SimFs::open(const std::string& path, OpenMode mode) {
  TRY(place, reach(path, Access::look));
  if (mode == OpenMode::create_new) {
    if (place.node) return fail(Errc::io, path + ": file exists");
    if (!place.parent) return missing(path);
    if (place.device->faults.full) {
      machine_.probes.hit("fault: no space");
      return fail(Errc::no_space, path + ": no space left on device");
    }
    place.node = place.device->disk.make(false);
    place.node->modified_ms = machine_.scheduler.clock().unix_ms();
    place.parent->names[place.name] = place.node;
  }
  if (!place.node) return missing(path);
  if (place.node->folder) return fail(Errc::io, path + ": is a directory");
  std::unique_ptr<File> file =
      std::make_unique<SimFile>(machine_, me_, path, std::move(place.device), std::move(place.node));
  return file;
}

Result<> SimFs::remove(const std::string& path) {
  TRY(place, reach(path, Access::write));
  if (!place.node || !place.parent) return missing(path);
  if (place.node->folder && !place.node->names.empty()) return fail(Errc::io, path + ": not empty");
  place.parent->names.erase(place.name);
  return {};
}

Result<> SimFs::rename(const std::string& from, const std::string& to) {
  TRY(source, reach(from, Access::write));
  if (!source.node || !source.parent) return missing(from);
  TRY(target, find(to));
  if (!target.parent) return missing(to);
  if (target.device != source.device) return fail(Errc::io, to + ": on another device");
  source.parent->names.erase(source.name);
  target.parent->names[target.name] = source.node;
  return {};
}

Result<> SimFs::make_dirs(const std::string& path) {
  for (std::size_t end = path.find('/', 1); end <= path.size(); ++end) {
    end = std::min(path.find('/', end), path.size());
    const std::string folder = path.substr(0, end);
    TRY(place, find(folder));
    if (place.node && place.node->folder) continue;
    if (place.node) return fail(Errc::io, folder + ": not a directory");
    TRY_VOID(machine_.call(me_, place.device, Access::write));
    place.parent->names.emplace(place.name, place.device->disk.make(true));
  }
  return {};
}

Result<> SimFs::sync_dir(const std::string& path) {
  TRY(place, reach(path, Access::sync));
  if (!place.node || !place.node->folder) return missing(path);
  if (place.device->faults.sync_errors > 0 && machine_.random().chance(place.device->faults.sync_errors)) {
    machine_.probes.hit("fault: a failed sync of a folder");
    return fail(Errc::io, path + ": input/output error");
  }
  place.node->durable_names = place.node->names;
  return {};
}

Result<std::vector<std::string>> SimFs::list_dir(const std::string& path) {
  TRY(place, reach(path, Access::look));
  if (!place.node || !place.node->folder) return missing(path);
  std::vector<std::string> names;
  for (const auto& [name, child] : place.node->names) names.push_back(name);
  std::reverse(names.begin(), names.end());  // nobody may rely on an order
  return names;
}

Result<bool> SimFs::exists(const std::string& path) {
  auto place = reach(path, Access::look);
  if (!place) {
    if (place.failed_with(Errc::not_found)) return false;
    return fail(place.code(), place.error().detail);
  }
  return place->node != nullptr;
}

Result<FileId> SimFs::identity(const std::string& path) {
  TRY(place, reach(path, Access::look));
  if (!place.node) return missing(path);
  return FileId{place.device->disk.device(), place.node->inode};
}

Result<FileInfo> SimFs::info(const std::string& path) {
  TRY(place, reach(path, Access::look));
  if (!place.node) return missing(path);
  FileInfo out;
  out.bytes = place.node->content.size();
  out.modified_ms = place.node->modified_ms;
  return out;
}

Result<SpaceInfo> SimFs::space(const std::string& path) {
  TRY(place, reach(path, Access::look));
  if (!place.node) return missing(path);
  return SpaceInfo{kTotalBytes, place.device->faults.full ? 0 : kTotalBytes / 2};
}

Result<std::unique_ptr<Fs::Lock>> SimFs::lock(const std::string& path) {
  TRY(place, reach(path, Access::look));
  if (!place.parent) return missing(path);
  if (!place.node) {
    place.node = place.device->disk.make(false);
    place.parent->names[place.name] = place.node;
  }
  if (place.node->locked_by != 0 && machine_.alive(place.node->locked_by)) {
    return fail(Errc::wrong_drive, path + ": locked by another process");
  }
  place.node->locked_by = me_;
  std::unique_ptr<Lock> lock = std::make_unique<SimLock>(place.node, me_);
  return lock;
}

}  // namespace ostraka::sim
