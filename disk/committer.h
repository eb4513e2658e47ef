// The one part that changes a drive's index: it takes all changes that wait, applies them as one batch with
// one sync, and answers them. It also looks after the drive: notices that the folder is gone, closes it, and
// opens it again when it is back. All of it happens in steps, on one thread of its own: at once when a change
// waits, and otherwise when it is time to look.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "disk/drive_core.h"
#include "disk/drive_op.h"
#include "disk/row_cache.h"
#include "runtime/workers.h"

namespace ostraka::disk {

// Thread safe.
class Committer {
 public:
  Committer(DriveCore& core, WorkersFactory& workers);
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;
  ~Committer();  // writes what waits, then ends

  void start();
  // Gives the change back when too many wait already, or the drive is closing: then the caller answers it.
  [[nodiscard]] std::unique_ptr<DriveOp> submit(std::unique_ptr<DriveOp> op);
  // For changes nobody waits for: written with the next batch, or on their own after kRetireDelay.
  void submit_lazy(std::unique_ptr<DriveOp> op);
  // The drive hangs: changes that have not begun are answered with unavailable.
  void give_up_waiting();

 private:
  using Ops = std::vector<std::unique_ptr<DriveOp>>;
  void post_step();
  void step();
  void timed_step(TimePoint at);
  void last_step();
  void take();
  Error away() const;
  // With the lock held: a step at this time, unless an earlier one is arranged.
  void arrange(TimePoint at, TimePoint now);
  void run(const std::shared_ptr<OpenDrive>& life, Ops& ops);
  // From `first` on, as many as fit into one batch. Gives the index after the last.
  std::size_t run_batch(const std::shared_ptr<OpenDrive>& life, Ops& ops, std::size_t first);
  void failed(const std::shared_ptr<OpenDrive>& life, const Error& error);
  void answer(Ops& ops, std::size_t first, std::vector<Result<OpAnswer>> answers);
  void refuse(Ops& ops, const Error& error);
  void look_after(const std::shared_ptr<OpenDrive>& life);
  void resume(const std::shared_ptr<OpenDrive>& life);
  void try_to_reopen();

  // Of the steps, which follow one another.
  DriveCore& core_;
  RowCache rows_;
  std::weak_ptr<OpenDrive> rows_of_;  // the life whose rows are remembered
  std::unique_ptr<IndexBatch> batch_;
  Ops ops_;
  bool out_of_space_ = false;  // the index stopped for lack of space
  TimePoint next_look_{}, next_space_{}, next_open_{};
  Duration reopen_after_ = kReopenMin;
  std::string last_problem_;

  std::mutex mutex_;
  Ops waiting_, lazy_;
  std::size_t waiting_bytes_ = 0;     // of the buffers that hold inline shards in waiting_
  bool stepping_ = true;              // a step runs or is posted; true until start()
  TimePoint arranged_ = kNoDeadline;  // when the next timed step comes
  bool stopping_ = false;
  std::unique_ptr<Workers> thread_;  // last
};

// Gives the change to the committer, and waits for its answer. Errors: of the change; deadline, unavailable.
// core and committer outlive the call.
Task<Result<OpAnswer>> submit_change(DriveCore& core, Committer& committer, Ctx& ctx,
                                     std::unique_ptr<DriveOp> op);

}  // namespace ostraka::disk
