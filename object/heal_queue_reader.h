// HealQueueReader: the entries of the durable heal queue as all drives together have them, in order of their
// names.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "disk/drive.h"
#include "erasure/heal_queue.h"
#include "runtime/ctx.h"
#include "runtime/gate.h"

namespace ostraka::object {

struct QueuedHeal {
  struct Copy {
    disk::Drive* drive = nullptr;
    std::shared_ptr<const std::string> value;  // as it lies there: equal copies share it
  };
  std::string name;
  erasure::HealEntry entry;  // the newest of the copies
  std::vector<Copy> copies;
};

// Belongs to one shard.
class HealQueueReader {
 public:
  // The drives and the gate outlive it.
  HealQueueReader(std::vector<disk::Drive*> drives, Gate& gate);
  // The next entries, until end(). A drive that does not answer is left out from then on. Of an entry none of
  // whose copies decodes, `entry` has no key: it says nothing, and the scanner finds what it was for.
  Task<std::vector<QueuedHeal>> next(Ctx& ctx);
  bool end() const noexcept { return end_; }

 private:
  struct Source {
    disk::Drive* drive = nullptr;
    bool over = false;
    std::vector<disk::Drive::SystemRecord> page;
    std::size_t at = 0;
  };
  Task<> fetch(Ctx& ctx);
  QueuedHeal take(const std::string& name);

  Gate& gate_;
  std::vector<Source> sources_;
  std::string after_;
  bool end_ = false;
};

}  // namespace ostraka::object
