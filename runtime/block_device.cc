#include "runtime/block_device.h"

#include <sys/sysmacros.h>

#include <filesystem>
#include <system_error>
#include <vector>

namespace ostraka {
namespace {

namespace stdfs = std::filesystem;
constexpr int kMaxLayers = 8;

// Disks that a mapping is made of.
std::vector<stdfs::path> below(const stdfs::path& device) {
  std::vector<stdfs::path> out;
  std::error_code error;
  for (stdfs::directory_iterator at(device / "slaves", error), end; !error && at != end; at.increment(error))
    out.push_back(at->path());
  return out;
}

}  // namespace

Result<std::string> whole_disk_of(std::uint64_t device, const std::string& sys) {
  const std::string number = std::to_string(major(device)) + ":" + std::to_string(minor(device));
  std::error_code error;
  stdfs::path at = stdfs::canonical(stdfs::path(sys) / "dev" / "block" / number, error);
  for (int layer = 0; !error && layer < kMaxLayers; ++layer) {
    if (stdfs::exists(at / "partition", error)) at = at.parent_path();
    const std::vector<stdfs::path> parts = below(at);
    if (parts.empty()) return at.filename().string();
    if (parts.size() > 1) return fail(Errc::not_found, number + " lies on several disks");
    at = stdfs::canonical(parts[0], error);
  }
  return fail(Errc::not_found, number + " is no block device");
}

}  // namespace ostraka
