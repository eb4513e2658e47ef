// links: s3api
// Browser forms. The first byte says how large a piece of the form each read brings.
#include <algorithm>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "runtime/shard.h"
#include "s3api/form_reader.h"

namespace {

using namespace ostraka;

class Pieces final : public net::BodySource {
 public:
  Pieces(ByteSpan bytes, std::size_t piece) : bytes_(bytes), piece_(piece) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    const std::size_t count = std::min({out.size(), piece_, bytes_.size()});
    std::copy_n(bytes_.begin(), count, out.begin());
    bytes_ = bytes_.subspan(count);
    co_return count;
  }

 private:
  ByteSpan bytes_;
  std::size_t piece_;
};

Task<> read_form(ByteSpan bytes, std::size_t piece) {
  Pieces body(bytes, piece);
  s3api::FormReader form(body, "b", bytes.size());
  const auto fields = co_await form.read_fields();
  if (!fields) co_return;
  const auto file = co_await net::read_all(form, bytes.size());
  if (!file) co_return;
  CHECK(file->size() == form.file_size());
  CHECK(file->find("\r\n--b") == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  SystemClock clock;
  Shard shard(0, clock, ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0});
  run_to_end(shard, read_form(ByteSpan(data + 1, size - 1), std::size_t{data[0]} + 1));
  return 0;
}
