// Everything that is read from the spool, on threads of its own. Each function sees all that was
// answered before it was called.
// Thread safety: every function from any thread.
#pragma once

#include <functional>

#include "spool/file/store.h"
#include "spool/file/work_queue.h"

namespace mansio::spool {

class Readers {
 public:
  struct Ports {
    /// Called for a message whose content has a wrong checksum.
    std::function<void(const QueueId&, std::string)> quarantine;
    /// Gets the rows of messages that will soon be worked on; see Committer::offer().
    std::function<void(std::vector<MessageRow>, std::uint64_t group)> offer;
  };

  Readers(Store& store, Ports ports);

  void stop() { work_.stop(); }

  void due_page(const FlowKey& flow, std::optional<DueCursor> after, std::size_t limit,
                KeepContent keep, Done<DuePage> done);
  void flows(std::string resume, std::size_t limit, Done<FlowPage> done);
  void lanes(std::string resume, std::size_t limit, Done<LanePage> done);
  void get(std::vector<QueueId> ids, Done<std::vector<StoredMessagePtr>> done);
  void list(const Selector& selector, std::string resume, std::size_t limit, Done<ListPage> done);
  void read_content(const QueueId& id, std::uint64_t offset, std::uint64_t length,
                    Done<std::string> done);
  void history(const QueueId& id, Done<std::vector<HistoryEntry>> done);
  void events_since(std::uint64_t seq, std::size_t limit, Done<EventPage> done);

 private:
  Result<DuePage> due_page_now(const FlowKey& flow, const std::optional<DueCursor>& after,
                               std::size_t limit, const KeepContent& keep);
  bool read_along(const MessageRow& row, const KeepContent& keep, StoredMessage& message);
  Result<FlowPage> flows_now(const std::string& resume, std::size_t limit);
  Result<LanePage> lanes_now(const std::string& resume, std::size_t limit);
  Result<std::vector<StoredMessagePtr>> get_now(const std::vector<QueueId>& ids);
  Result<ListPage> list_now(const Selector& selector, const std::string& resume, std::size_t limit);
  Result<std::string> content_now(const QueueId& id, std::uint64_t offset, std::uint64_t length);
  Result<std::vector<HistoryEntry>> history_now(const QueueId& id);

  Store& store_;
  const Ports ports_;
  WorkQueue work_;
};

/// Reads the content of `row` where it is now. Errc::corrupt: its segment or file has gone, is
/// short, or (whole reads) has a wrong checksum.
Result<std::string> read_stored_content(Store& store, const MessageRow& row, std::uint64_t offset,
                                        std::uint64_t length);

}  // namespace mansio::spool
