// The backends that the contract suite runs over. A backend joins by a factory here and by one line
// in contract_backends(); the cases in spool_contract_test.cc know nothing else about it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "spool/memory/memory_spool.h"
#include "spool/spool.h"

namespace mansio::spool {

/// What every backend of the suite is opened with.
struct ContractOptions {
  std::function<Time()> now;  ///< the time of the test, also for leases and for what history keeps
  Duration history_keep = std::chrono::hours(24 * 7);
  std::size_t events_max = 1'000'000;  ///< events kept at least; a backend may keep more
};

/// One spool that a test opens, closes, damages and opens again. At most one is open at a time.
class BackendFactory {
 public:
  virtual ~BackendFactory() = default;  ///< removes everything
  /// The spool as it stands: new at first, later what the closed one left. The caller calls stop()
  /// before it destroys the spool, or does not, as after a crash of the process.
  virtual std::unique_ptr<Spool> open() = 0;
  /// While closed: damages the stored record of this message (not its content), so that it does
  /// not decode any more.
  virtual void corrupt_record(const QueueId& id) = 0;
  /// While closed: damages one octet of the stored content of this message.
  virtual void corrupt_content(const QueueId& id) = 0;
};

struct Backend {
  std::string name;  ///< letters only: part of test names
  std::function<std::unique_ptr<BackendFactory>(ContractOptions)> make;
};

class MemoryBackend final : public BackendFactory {
 public:
  explicit MemoryBackend(const ContractOptions& options)
      : options_{.history_keep = options.history_keep,
                 .events_max = options.events_max,
                 .now = options.now} {}

  std::unique_ptr<Spool> open() override { return make_memory_spool(options_, store_); }

  void corrupt_record(const QueueId& id) override { corrupt_memory_record(*store_, id); }

  void corrupt_content(const QueueId& id) override { corrupt_memory_content(*store_, id); }

 private:
  MemorySpoolOptions options_;
  std::shared_ptr<MemoryStore> store_ = make_memory_store();
};

}  // namespace mansio::spool

// Defines, in mansio::spool:
//   inline std::unique_ptr<BackendFactory> make_file_backend(const ContractOptions& options);
#if __has_include("spool/file/contract_backend.h")
#include "spool/file/contract_backend.h"
#define MANSIO_HAS_FILE_BACKEND 1
#endif

namespace mansio::spool {

inline std::vector<Backend> contract_backends() {
  std::vector<Backend> backends;
  backends.push_back({"memory", [](const ContractOptions& options) {
                        return std::make_unique<MemoryBackend>(options);
                      }});
#ifdef MANSIO_HAS_FILE_BACKEND
  backends.push_back(
      {"file", [](const ContractOptions& options) { return make_file_backend(options); }});
#endif
  return backends;
}

}  // namespace mansio::spool
