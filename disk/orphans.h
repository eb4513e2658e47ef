// The search for what no record names, in steps that each block only briefly. Files are listed first, then
// all rows are read, and what none of them names is looked at again on the committer's thread, between two
// batches: a commit that came in meanwhile has told the file table what it named.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "disk/drive_core.h"
#include "disk/drive_op.h"

namespace ostraka::disk {

class OrphanSearch {
 public:
  OrphanSearch(DriveCore& core, const OrphanSpec& spec) : core_(core), spec_(spec), folder_(spec.first) {}
  OrphanSearch(const OrphanSearch&) = delete;
  OrphanSearch& operator=(const OrphanSearch&) = delete;
  ~OrphanSearch() { end(); }

  enum class Next : std::uint8_t {
    step,    // call step() again
    change,  // give make_change() to the committer, and its answer to changed()
    done
  };
  // unavailable (another search is under way, or the drive was away), io.
  Result<Next> step(const std::shared_ptr<OpenDrive>& life);
  std::unique_ptr<DriveOp> make_change();
  void changed(OpAnswer answer);
  void end();  // no step may be under way
  OrphanReport report() { return std::move(report_); }

 private:
  enum class Phase : std::uint8_t { begin, list, rows, ages, take, remove, leftovers, inline_values, done };
  struct File {
    DataId data;
    std::uint64_t bytes = 0;
    bool named = false;
  };
  Result<> begin(const std::shared_ptr<OpenDrive>& life);
  Result<> list_folders();
  Result<> list_folder(unsigned first_byte);
  Result<> read_rows(MetaIndex& index);
  void mark_files_of(std::string_view row);
  Result<> look_at_ages();
  Result<> count_only();
  void found(const DataId& data, bool removed);
  void remove_taken();
  Result<> look_at_leftovers();
  Result<> read_inline(MetaIndex& index);
  void after_files();
  File* find(const DataId& data);
  Result<std::optional<FileInfo>> old_file(const std::string& path);  // nullopt: gone, or too young

  DriveCore& core_;
  const OrphanSpec spec_;
  Phase phase_ = Phase::begin;
  bool searching_ = false;
  std::weak_ptr<OpenDrive> life_;
  unsigned folder_;                                        // the next to be listed
  std::vector<File> files_;                                // ascending by id, once listed
  std::vector<std::pair<DataId, std::string>> leftovers_;  // and their names
  std::size_t at_ = 0;         // how far the phase has come in files_ or leftovers_
  std::vector<DataId> batch_;  // on its way to the committer, or back from there
  std::string last_row_, last_inline_;
  bool doubtful_ = false;  // a row of the last search through them cannot be read: it may name any file
  std::vector<std::string> inline_keys_;
  bool inline_ended_ = false;
  OrphanReport report_;
};

}  // namespace ostraka::disk
