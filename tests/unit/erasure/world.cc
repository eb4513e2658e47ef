#include "tests/unit/erasure/world.h"

#include <cstring>

namespace ostraka::erasure {

std::string random_text(SeededRandom& random, std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t at = 0; at < size; at += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(text.data() + at, &word, std::min<std::size_t>(8, size - at));
  }
  return text;
}

Task<Result<Committed>> put_small(World* world, disk::ObjectRef ref, std::string body) {
  Ctx ctx = world->ctx();
  CommitSpec spec;
  spec.ref = std::move(ref);
  spec.body = world->set->encode_inline(world->set->geometry(), as_bytes(body));
  co_return co_await world->set->commit(ctx, std::move(spec));
}

Task<Result<StagedBody>> stage_body(World* world, std::string body, Geometry geometry) {
  Ctx ctx = world->ctx();
  CO_TRY(writer, co_await world->set->stage(ctx, geometry, body.size()));
  for (std::size_t at = 0; at < body.size();) {
    CO_TRY(stripe, co_await writer->next_stripe(ctx));
    const std::size_t bytes = std::min(stripe.data.size(), body.size() - at);
    std::memcpy(stripe.data.data(), body.data() + at, bytes);
    at += bytes;
    CO_TRY_VOID(co_await writer->put_stripe(ctx, std::move(stripe), bytes));
  }
  co_return co_await writer->finish(ctx);
}

Task<Result<Committed>> put_large(World* world, disk::ObjectRef ref, std::string body, Geometry geometry) {
  CO_TRY(staged, co_await stage_body(world, std::move(body), geometry));
  Ctx ctx = world->ctx();
  CommitSpec spec;
  spec.ref = std::move(ref);
  spec.body = std::move(staged);
  co_return co_await world->set->commit(ctx, std::move(spec));
}

Task<Result<std::string>> read_out(World* world, disk::ObjectRef ref, std::shared_ptr<const Elected> elected,
                                   ByteRange range) {
  Ctx ctx = world->ctx();
  CO_TRY(reader, world->set->open(std::move(ref), std::move(elected), range));
  std::string out;
  for (;;) {
    CO_TRY(chain, co_await reader->next(ctx));
    if (chain.empty()) break;
    for (const Slice& slice : chain) out += as_text(slice.bytes);
  }
  co_return out;
}

Task<Result<std::string>> get_range(World* world, disk::ObjectRef ref, ByteRange range) {
  Ctx ctx = world->ctx();
  CO_TRY(elected, co_await world->set->read(ctx, ref, true));
  const std::uint64_t size = elected.record->size;
  if (range.end > size) range.end = size;
  auto shared = std::make_shared<const Elected>(std::move(elected));
  co_return co_await read_out(world, std::move(ref), std::move(shared), range);
}

Task<Result<std::string>> get(World* world, disk::ObjectRef ref) {
  const ByteRange all{0, UINT64_MAX};
  co_return co_await get_range(world, std::move(ref), all);
}

}  // namespace ostraka::erasure
