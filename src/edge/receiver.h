// Takes the content of one message: puts the Received line on top, keeps what is small in memory
// and streams what is not to the spool, checks header and hop limits, re-encodes what has lines
// that are too long, and hands it all to the queue: what it acknowledges is what will be sent.
// Content that came as BODY=BINARYMIME is kept octet for octet; if nothing in it needs that, the
// envelope says 8BITMIME from here on, so that more hosts can take it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "edge/admission.h"
#include "edge/edge_statistics.h"
#include "smtp/chunk_decoder.h"
#include "smtp/server.h"

namespace mansio::edge {

struct ReceiverOptions {
  std::string hostname;
  bool lmtp = false;
  std::uint32_t hops = 100;           ///< Received fields before ours
  std::uint64_t header = 1ull << 20;  ///< octets
  std::uint32_t header_lines = 2000;
  std::uint32_t line = 998;  ///< octets without CRLF; a message with longer ones is re-encoded
  std::uint64_t content_in_memory = 256ull << 10;  ///< octets; more is streamed
};

/// Runs on: the connection's loop.
class Receiver final : public smtp::ContentReceiver {
 public:
  /// References must outlive it; `envelope.origin` is complete.
  Receiver(Admission& admission, EdgeStatistics& statistics, Clock& clock, ReceiverOptions options,
           Envelope envelope);
  ~Receiver() override;

  Task<std::optional<Reply>> write(std::string_view octets) override;
  Task<smtp::ContentVerdict> finish() override;

 private:
  struct Append;

  bool long_lines_allowed() const { return envelope_.body == BodyType::binary_mime; }

  void look_for_text(std::string_view octets);
  std::optional<Reply> over_limit() const;
  std::optional<Reply> too_long_to_stream() const;
  Task<std::optional<Reply>> shorten_lines();
  bool fits_in_memory(std::uint64_t octets);
  void release_memory();
  Task<bool> stream_out(std::string piece);
  Task<bool> appended();
  Task<bool> seal();
  smtp::ContentVerdict verdict_of(const Admitted& admitted);
  smtp::ContentVerdict refused(Reply reply);

  Admission& admission_;
  EdgeStatistics& statistics_;
  const ReceiverOptions options_;
  Envelope envelope_;
  const QueueId id_;
  const std::size_t recipients_;
  const std::string client_;  // for logs

  ContentScanner scanner_;
  std::optional<smtp::ChunkDecoder> text_;  // of binary content: is it text after all?
  std::size_t line_max_ = 0;
  std::uint64_t size_ = 0;
  std::string memory_;
  std::uint64_t reserved_ = 0;
  std::shared_ptr<spool::ContentWriter> writer_;  // set once the content is streamed
  std::shared_ptr<Append> append_;                // the last one; null: none yet
};

}  // namespace mansio::edge
