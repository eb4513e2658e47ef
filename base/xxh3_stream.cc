#include "base/xxh3_stream.h"

#include "base/check.h"
#include "base/xxhash.h"

namespace ostraka {

Xxh3Stream::Xxh3Stream() : state_(XXH3_createState()) {
  CHECK(state_ != nullptr);
  XXH3_128bits_reset(state_.get());
}

void Xxh3Stream::Free::operator()(XXH3_state_s* state) const noexcept {
  XXH3_freeState(state);
}

void Xxh3Stream::update(ByteSpan bytes) noexcept {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

Hash128 Xxh3Stream::value() const noexcept {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return {hash.low64, hash.high64};
}

}  // namespace ostraka
