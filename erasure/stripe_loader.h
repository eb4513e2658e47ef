// Loads adjacent stripes of one part: only the blocks that the range needs while all is well, or parity on
// this node instead of data on others; any k shards, and a reconstruction, when one is missing, corrupt or
// slow. One loader a part and reader; belongs to one shard; held by shared_ptr, since slow reads outlive the
// wait for them.
#pragma once

#include <memory>
#include <vector>

#include "disk/drive.h"
#include "erasure/erasure_set.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

// A stripe, and what is wanted of it.
struct StripePiece {
  std::uint64_t stripe = 0;
  std::size_t stripe_bytes = 0;  // object data in it
  std::size_t block_bytes = 0;
  std::size_t begin = 0, end = 0;  // bytes of the stripe; begin < end
  Buffer slab;                     // room for n blocks
};

class StripeLoader : public std::enable_shared_from_this<StripeLoader> {
 public:
  StripeLoader(CorePtr core, disk::ObjectRef ref, std::shared_ptr<const Elected> elected,
               disk::PartRecord part);
  ~StripeLoader();
  // pieces: 1 to kMaxStripesPerRead adjacent stripes. The chains are in the order of the pieces, their slices
  // in the order of the bytes. Errors: unavailable (fewer than k shards to be had), deadline.
  static Task<Result<std::vector<BufferChain>>> load(std::shared_ptr<StripeLoader> self, Ctx ctx,
                                                     std::vector<StripePiece> pieces);

 private:
  struct Attempt;
  struct ShardState;
  static Task<Result<>> read_blocks(std::shared_ptr<StripeLoader> self, unsigned shard, Ctx ctx,
                                    std::uint64_t first, std::vector<disk::BlockTarget> targets);
  unsigned drive_of(unsigned shard) const noexcept;
  disk::ShardRef ref_of(unsigned shard) const;
  bool start(Attempt& attempt, const Ctx& ctx, unsigned shard, std::size_t begin, std::size_t end, bool rest);
  void start_parity_at_hand(Attempt& attempt, const Ctx& ctx);
  void start_needed(Attempt& attempt, const Ctx& ctx);
  bool start_one_more(Attempt& attempt, const Ctx& ctx);
  void note_failures(Attempt& attempt, const Ctx& ctx);
  Task<Result<BufferChain>> assemble(Attempt& attempt, Ctx& ctx, std::size_t index);

  CorePtr core_;
  disk::ObjectRef ref_;
  std::shared_ptr<const Elected> elected_;
  disk::PartRecord part_;
  Geometry geometry_;
  std::shared_ptr<const Codec> codec_;
  std::vector<ShardState> shards_;
};

}  // namespace ostraka::erasure
