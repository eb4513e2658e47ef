#include "disk/write_probe.h"

#include <fmt/format.h>

#include <vector>

#include "disk/drive_core.h"
#include "disk/row_key.h"
#include "disk/shard_file.h"

namespace ostraka::disk {
namespace {

constexpr std::size_t kProbeBytes = 4096;

std::string probe_content(std::int64_t unix_ms) {
  std::string out;
  while (out.size() < kProbeBytes) out += fmt::format("probe of {}\n", unix_ms);
  out.resize(kProbeBytes);
  return out;
}

Result<> write_and_read_back(Fs& fs, const std::string& path, const std::string& content) {
  TRY(file, fs.open(path, OpenMode::create_new));
  const ByteSpan part = as_bytes(content);
  TRY_VOID(file->pwritev(std::span<const ByteSpan>(&part, 1), 0));
  TRY_VOID(file->sync());
  std::vector<std::uint8_t> back(content.size());
  TRY(got, file->pread(back, 0));
  if (got == back.size() && std::equal(back.begin(), back.end(), part.begin())) return {};
  return fail(Errc::corrupt, path + ": reads back something else than was written");
}

Result<> read_index(MetaIndex& index) {
  std::string value;
  TRY(found, index.get(Column::system, kIdentityRecord, value, Tier::all));
  if (found != Lookup::found) return fail(Errc::corrupt, "the index has no identity record any more");
  TRY_VOID(unseal(value));
  return {};
}

}  // namespace

std::string probe_path(const std::string& folder) {
  return folder + "/data/probe";
}

Result<> probe_drive(DriveCore& core, OpenDrive& life) {
  TRY_VOID(core.check_folder(life));
  const std::string path = probe_path(core.path);
  if (auto gone = core.fs.remove(path);
      !gone && !gone.failed_with(Errc::not_found))  // of a process that died
    return gone;
  Result<> probed = write_and_read_back(core.fs, path, probe_content(core.clock.unix_ms()));
  const Result<> removed = core.fs.remove(path);
  if (probed) probed = removed;
  if (probed) probed = read_index(*life.index);
  if (!probed) TRY_VOID(core.check_folder(life));  // that it is gone explains all else
  if (probed.failed_with(Errc::not_found)) return fail(Errc::io, probed.error().detail);
  return probed;
}

}  // namespace ostraka::disk
