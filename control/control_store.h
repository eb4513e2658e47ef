// ControlStore: small documents (buckets, settings, placement) with revisions and compare-and-put. Every node
// holds all documents in memory; reading them never waits. Changing one needs a majority (embedded: of the
// node's drives).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::control {

struct Document {
  std::string name;            // for example "bucket/photos"; ordered bytes
  std::string content;         // JSON
  std::uint64_t revision = 0;  // of its last change; grows over all documents
};
using DocumentPtr = std::shared_ptr<const Document>;

class ControlStore {
 public:
  // Called after a document has changed (null: erased), on any thread, in order of revision. Must not block.
  using Watcher = std::function<void(const std::string& name, DocumentPtr now)>;
  virtual ~ControlStore() = default;
  virtual DocumentPtr get(std::string_view name) const = 0;                  // null when there is none
  virtual std::vector<DocumentPtr> list(std::string_view prefix) const = 0;  // ascending by name
  // Writes when the document's revision is `expected` (0: it does not exist; nullopt: whatever). Errors:
  // conflict, unavailable, in_doubt.
  virtual Task<Result<DocumentPtr>> put(Ctx& ctx, std::string name, std::string content,
                                        std::optional<std::uint64_t> expected) = 0;
  virtual Task<Result<>> erase(Ctx& ctx, std::string name, std::optional<std::uint64_t> expected) = 0;
  virtual void watch(std::string prefix, Watcher watcher) = 0;
};

}  // namespace ostraka::control
