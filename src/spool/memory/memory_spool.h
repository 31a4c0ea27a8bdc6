// The `memory:` backend: the whole contract of spool.h in the memory of the process, for tests, the
// simulator and the reference that other backends are compared with. Nothing survives the process.
//
// Thread safety: as spool.h says. Operations are applied one after another under one mutex; sinks
// and `done` functions are called without it, on the caller's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "spool/spool.h"

namespace mansio::spool {

struct MemorySpoolOptions {
  std::uint64_t octets_max = 1ULL << 30;               ///< content over this is answered `full`
  Duration history_keep = std::chrono::hours(24 * 7);  ///< of a message that is finished
  std::size_t events_max = 100'000;     ///< older ones are lost, which events_since() tells
  std::function<Time()> now = nullptr;  ///< absent: the machine's clock
};

/// What a memory spool holds. It outlives the spool if it is held elsewhere, so that a test can end
/// a spool and open it again, as after a restart.
class MemoryStore;
std::shared_ptr<MemoryStore> make_memory_store();

std::unique_ptr<Spool> make_memory_spool(MemorySpoolOptions options);
/// At most one spool at a time is open on a store.
std::unique_ptr<Spool> make_memory_spool(MemorySpoolOptions options,
                                         std::shared_ptr<MemoryStore> store);

/// Faults for tests; no spool may be open on the store. The message must exist.
void corrupt_memory_record(MemoryStore& store, const QueueId& id);
void corrupt_memory_content(MemoryStore& store, const QueueId& id);

}  // namespace mansio::spool
