// The declarations. Adding an option: a field with its default in settings.h, one line here, and a
// check in checks.cc if it depends on others; the manual page is then made anew (docs/manual).
#include "settings/declaration.h"

#include "settings/addresses.h"
#include "settings/declare.h"
#include "settings/pattern.h"

namespace mansio::settings {
namespace {

template <class S>
auto single(S Settings::*member) {
  return [member](Settings& settings, const std::string&) -> void* { return &(settings.*member); };
}

template <class S>
auto visit_single(S Settings::*member) {
  return [member](const Settings& settings,
                  const std::function<void(const std::string&, const void*)>& visit) {
    visit("", &(settings.*member));
  };
}

/// A named table: `name` is the field that keeps the name.
template <class S>
void bind_named(Section& section, std::vector<S> Settings::*member, std::string S::*name) {
  section.add = [member, name](Settings& settings, const std::string& text) -> void* {
    S& item = (settings.*member).emplace_back();
    item.*name = text;
    return &item;
  };
  section.each = [member, name](const Settings& settings,
                                const std::function<void(const std::string&, const void*)>& visit) {
    for (const S& item : settings.*member) visit(item.*name, &item);
  };
}

Section server() {
  Options<Server> options;
  options
      .add("hostname", &Server::hostname,
           "The name of this server: in the greeting, in EHLO, in Received lines and notices.")
      .required("\"mail.example.org\"")
      .must_be(valid_host_name, "a host name such as \"mail.example.org\"");
  options.add("drain", &Server::drain,
              "How long a stop waits for transactions that are under way.");
  options
      .add("connections_out_max", &Server::connections_out_max,
           "Outgoing connections at a time, over all destinations.")
      .at_least(1);
  options.add("connections_out_reserve", &Server::connections_out_reserve,
              "Of these, how many are kept for destinations that have none yet.");
  options
      .add("loops", &Server::loops,
           "Event loops (threads that run sessions and deliveries); 0: one per core.")
      .between(0, 1024);
  return {.name = "server",
          .sentence = "The server as a whole.",
          .options = options.take(),
          .add = single(&Settings::server),
          .each = visit_single(&Settings::server)};
}

Section spool() {
  Options<Spool> options;
  options
      .add("url", &Spool::url,
           "Where queued mail is kept: `memory:` (lost when the daemon ends: for tests only) or "
           "`file:PATH`, a folder that the daemon has for itself.")
      .required("\"file:/var/lib/mansio/spool\"");
  options
      .add("reserve", &Spool::reserve,
           "Free space below which no new mail is accepted, so that outcomes can still be written.")
      .size();
  options
      .add("reserve_share", &Spool::reserve_share,
           "The same as a share of the file system; the larger of the two holds.")
      .between(0, 0.9);
  options.add(
      "existing", &Spool::existing,
      "The folder must hold a spool already: an empty one is an error, never a fresh start. "
      "Set it once the server has mail.");
  return {.name = "spool",
          .sentence = "The durable store of accepted mail.",
          .options = options.take(),
          .add = single(&Settings::spool),
          .each = visit_single(&Settings::spool)};
}

Section listener() {
  Options<Listener> options;
  options
      .add("protocol", &Listener::protocol,
           "What is spoken on it. `http` is the admin API once more, on a loopback address or a "
           "Unix socket; the other keys of a listener do not go with it.")
      .one_of({"smtp", "lmtp", "http"});
  options
      .add_with(
          "address", Kind::text,
          "Where it listens: IP address and port (port 0: one that the system chooses; the log "
          "tells which), or the path of a Unix socket.",
          [](Listener& owner, const Value& value) {
            owner.address = *parse_listen_address(std::get<std::string>(value));
          },
          [](const Listener& owner) -> std::optional<Value> {
            if (owner.address.address.empty()) return std::nullopt;
            return owner.address.to_string();
          })
      .required("\"127.0.0.1:2525\"")
      .must_be(
          valid_listen_address,
          "an IP address and port such as \"127.0.0.1:2525\" or \"[::1]:2525\", or the path of "
          "a Unix socket");
  options
      .add("relay_from", &Listener::relay_from,
           "Networks whose clients may send to any domain; others are refused.")
      .must_be(valid_network, "a network such as \"127.0.0.0/8\" or \"2001:db8::/32\"")
      .shown_as("[\"127.0.0.0/8\", \"::1/128\"]");
  options
      .add("tls", &Listener::tls,
           "TLS: none, offered by STARTTLS, or from the first octet; the latter two need "
           "`certificate` and `key`.")
      .one_of({"none", "starttls", "implicit"});
  options.add("certificate", &Listener::certificate, "PEM file with the certificate and its chain.")
      .path()
      .shown_as("\"/etc/mansio/tls/cert.pem\"");
  options.add("key", &Listener::key, "PEM file with the private key.")
      .path()
      .shown_as("\"/etc/mansio/tls/key.pem\"");
  options
      .add("bare_newline", &Listener::bare_newline,
           "A CR or LF alone in message data: refuse the message, or make it CR LF. Neither ever "
           "ends the data.")
      .one_of({"reject", "normalize"});
  options
      .add("mode", &Listener::mode,
           "Permissions of a Unix socket's file. Who may write to it may send, from any address to "
           "any domain: `\"0666\"` lets every user of this machine.")
      .must_be(valid_mode, "permissions in octal such as \"0660\"");
  Section section{
      .name = "listener",
      .shape = Shape::array,
      .sentence = "An address where mail comes in (or the admin API is); at least one, any number.",
      .options = options.take()};
  section.add = [](Settings& settings, const std::string&) -> void* {
    return &settings.listeners.emplace_back();
  };
  section.each = [](const Settings& settings,
                    const std::function<void(const std::string&, const void*)>& visit) {
    for (const Listener& item : settings.listeners) visit("", &item);
  };
  return section;
}

Section limits() {
  Options<Limits> options;
  options
      .add("connections", &Limits::connections,
           "Incoming connections of a listener at a time; over it a client gets 421.")
      .at_least(1);
  options
      .add_with(
          "connections_per_client", Kind::integer,
          "Incoming connections of one client at a time: an IPv4 address, or an IPv6 network of 64 "
          "bits. Clients in `relay_from` have no such limit unless this is set.",
          [](Limits& owner, const Value& value) {
            owner.connections_per_client =
                static_cast<std::uint32_t>(std::get<std::uint64_t>(value));
            owner.connections_per_client_set = true;
          },
          [](const Limits& owner) -> std::optional<Value> {
            return Value(std::uint64_t{owner.connections_per_client});
          },
          std::numeric_limits<std::uint32_t>::max())
      .at_least(1);
  options
      .add("message", &Limits::message,
           "The largest message; announced by SIZE, over it a client gets 552.")
      .size()
      .at_least(1 << 10);
  options
      .add("recipients", &Limits::recipients,
           "Recipients of one transaction; over it each gets 452 and the client sends again. "
           "Servers should take at least 100 (RFC 5321 §4.5.3.1.8).")
      .at_least(1);
  options.add("line", &Limits::line, "The longest line of message data, without CR LF.")
      .between(78, 1 << 20);
  options
      .add(
          "line_over", &Limits::line_over,
          "A longer line: re-encode the message before it is stored, or refuse it. Text becomes "
          "quoted-printable, other parts base64, header fields are folded; a message that is "
          "signed, encrypted, malformed or larger than `content_in_memory` is refused in any case.")
      .one_of({"encode", "reject"});
  options.add("command_line", &Limits::command_line, "The longest command line, with CR LF.")
      .between(512, 1 << 20);
  options.add("header", &Limits::header, "The largest header section of a message.")
      .size()
      .at_least(1 << 10);
  options.add("header_lines", &Limits::header_lines, "The most lines of a header section.")
      .at_least(1);
  options
      .add("messages_per_connection", &Limits::messages_per_connection,
           "Messages of one incoming connection; after them it is closed with 421.")
      .at_least(1);
  options
      .add("hops", &Limits::hops,
           "Received lines above which a message is taken to be in a loop and refused.")
      .between(1, 1000);
  options
      .add("errors_soft", &Limits::errors_soft,
           "Errors of a session after which every reply is delayed by a second.")
      .at_least(1);
  options
      .add("errors_hard", &Limits::errors_hard,
           "Errors of a session after which it is closed with 421.")
      .at_least(1);
  options
      .add(
          "junk_commands", &Limits::junk_commands,
          "NOOP, RSET, VRFY and repeated EHLO of a session, between messages, before they count as "
          "errors.")
      .at_least(1);
  options.add("idle", &Limits::idle, "How long a session may wait before its next command.")
      .at_least(0.001);
  options
      .add("idle_under_stress", &Limits::idle_under_stress,
           "The same while at least 80 % of `connections` are in use.")
      .at_least(0.001);
  options
      .add("command", &Limits::command,
           "How long one command line may take from its first octet to its last.")
      .at_least(0.001);
  options
      .add("message_time", &Limits::message_time,
           "How long the data of one message may take in all.")
      .at_least(0.001);
  options.add("data_rate", &Limits::data_rate,
              "Octets a second that message data must come at, over any minute; 0: no limit.");
  options.add("tls_handshake", &Limits::tls_handshake, "How long a TLS handshake may take.")
      .at_least(0.001);
  options
      .add("memory", &Limits::memory,
           "Message content held in memory by sessions and queue; above it content stays on disk "
           "and new mail gets 451 4.3.1.")
      .size()
      .at_least(1 << 20);
  options
      .add("content_in_memory", &Limits::content_in_memory,
           "Larger content goes to the spool while it comes in.")
      .size()
      .at_least(1 << 10);
  return {.name = "limits",
          .sentence = "What a client may use of this server; every listener has them.",
          .options = options.take(),
          .add = single(&Settings::limits),
          .each = visit_single(&Settings::limits)};
}

Auth& auth_of(Route& route) { return route.auth ? *route.auth : route.auth.emplace(); }

Section route() {
  Options<Route> options;
  options.add("channel", &Route::channel,
              "The way out: `smtp`, `lmtp`, `hold` (the mail waits for the operator), `discard` "
              "(it counts as delivered), or the name of a `[channel.NAME]`.");
  options
      .add_with(
          "next_hop", Kind::texts,
          "Hosts to hand the mail to, in this order, instead of the MX hosts of the destination; "
          "the next one is tried when one cannot be used. Each is a name or IP address, with a "
          "port if not `port`, or the path of a Unix socket. The channel `lmtp` needs it.",
          [](Route& owner, const Value& value) {
            owner.next_hop.clear();
            for (const std::string& item : std::get<std::vector<std::string>>(value)) {
              owner.next_hop.push_back(*parse_next_hop(item));
            }
          },
          [](const Route& owner) -> std::optional<Value> {
            std::vector<std::string> out;
            for (const Endpoint& hop : owner.next_hop) out.push_back(next_hop_text(hop));
            return Value(std::move(out));
          })
      .must_be(valid_next_hop,
               "a host such as \"mail.example.net\", \"192.0.2.1:587\" or \"[2001:db8::1]:25\"")
      .shown_as("[\"127.0.0.1:2626\"]");
  options.add("port", &Route::port, "The port of MX hosts, and of next hops that name none.")
      .between(1, 65535);
  options
      .add("tls", &Route::tls,
           "TLS by STARTTLS: never, where the next hop offers it, or not without it.")
      .one_of({"none", "opportunistic", "required"});
  options.add("tls_verify", &Route::tls_verify,
              "The certificate must be valid and name the next hop; needs `tls = \"required\"`.");
  options
      .add_with(
          "auth.user", Kind::text,
          "Log in at the next hop (AUTH PLAIN or LOGIN) as this user; needs `tls = \"required\"`.",
          [](Route& owner, const Value& value) {
            auth_of(owner).user = std::get<std::string>(value);
          },
          [](const Route& owner) -> std::optional<Value> {
            if (!owner.auth) return std::nullopt;
            return Value(owner.auth->user);
          })
      .shown_as("\"mansio\"");
  options
      .add_with(
          "auth.password", Kind::text,
          "The password: `file:PATH`, whose first line it is, `env:NAME`, or the password itself.",
          [](Route& owner, const Value& value) {
            auth_of(owner).password = std::get<std::string>(value);
          },
          [](const Route& owner) -> std::optional<Value> {
            if (!owner.auth) return std::nullopt;
            return Value(owner.auth->password_from);
          })
      .secret()
      .shown_as("\"file:/etc/mansio/smarthost.password\"");
  Section section{
      .name = "route",
      .shape = Shape::named,
      .name_word = "pattern",
      .name_example = "\"*\"",
      .sentence =
          "Where mail for the destinations that the pattern fits goes: without `next_hop`, to the "
          "MX hosts that the DNS names for the destination. The most specific route holds: the "
          "exact domain, then the longest `*.suffix`, then `*`. At least one.",
      .options = options.take(),
      .nested = "sender",
      .nested_example = "\"*@news.example.com\"",
      .nested_sentence =
          "A route of its own, with the same keys and defaults, for the mail of some senders to "
          "these destinations. The pattern is an address, `*@domain`, `*@*.suffix`, or `<>` for "
          "the null reverse-path; the most specific one holds, inside the most specific route. "
          "Mail "
          "of other senders goes by the route itself or, if there is no such table, by a less "
          "specific one. It is chosen when the mail is accepted."};
  section.add = [](Settings& settings, const std::string& name) -> void* {
    Route& added = settings.routes.emplace_back();
    added.pattern = name;
    return &added;
  };
  section.each = [](const Settings& settings,
                    const std::function<void(const std::string&, const void*)>& visit) {
    for (const Route& item : settings.routes) {
      if (item.sender.empty()) visit(item.pattern, &item);
    }
  };
  section.add_nested = [](Settings& settings, const std::string& name,
                          const std::string& inner) -> void* {
    Route& added = settings.routes.emplace_back();
    added.pattern = name;
    added.sender = inner;
    return &added;
  };
  section.each_nested =
      [](const Settings& settings,
         const std::function<void(const std::string&, const std::string&, const void*)>& visit) {
        for (const Route& item : settings.routes) {
          if (!item.sender.empty()) visit(item.pattern, item.sender, &item);
        }
      };
  return section;
}

Section retry() {
  Options<Retry> options;
  options.add("min", &Retry::min, "Delay before the second try of a recipient.").at_least(0.001);
  options.add("factor", &Retry::factor, "What the delay grows by from try to try.").between(1, 100);
  options.add("max", &Retry::max, "The longest delay between tries.").at_least(0.001);
  options
      .add("jitter", &Retry::jitter,
           "Share of the delay, up or down, that is drawn at random, so that tries spread.")
      .between(0, 0.5);
  options
      .add(
          "lifetime", &Retry::lifetime,
          "How long after acceptance a recipient is tried; then it expires and the sender is told.")
      .at_least(0.001);
  options.add("tries_max", &Retry::tries_max,
              "Tries of a recipient after which it fails with the last reply; 0: no limit.");
  options
      .add(
          "intervals", &Retry::intervals,
          "The delays one by one, instead of `min`, `factor` and `max`; the last repeats until the "
          "lifetime is over.")
      .at_least(0.001)
      .shown_as("[\"15m\", \"1h\", \"4h\"]");
  options
      .add("in_doubt", &Retry::in_doubt,
           "A recipient whose transaction was cut by a crash after the final dot, so that nobody "
           "knows whether it arrived: send it again, or hold it for the operator.")
      .one_of({"resend", "hold"});
  return {
      .name = "retry",
      .sentence = "When a recipient that failed temporarily is tried again, and when it expires.",
      .options = options.take(),
      .add = single(&Settings::retry),
      .each = visit_single(&Settings::retry)};
}

Section notify() {
  Options<Notify> options;
  options
      .add("delay", &Notify::delay,
           "Ages at which a sender is told that its mail still waits, once each; `[]`: never. Not "
           "where the sender asked for no such notice (NOTIFY), and not about notices.")
      .at_least(1);
  options.add("delay_bulk", &Notify::delay_bulk,
              "Also about mail to many: with a List-* field, or Precedence bulk, list or junk.");
  options
      .add("lifetime", &Notify::lifetime, "How long a notice itself is tried before it is dropped.")
      .at_least(0.001);
  options
      .add("return", &Notify::return_content,
           "What of the message goes back with a notice, where the sender did not say (RET).")
      .one_of({"headers", "full", "none"});
  options
      .add("return_max", &Notify::return_max,
           "A message larger than this goes back as its headers only.")
      .size();
  options
      .add("connections", &Notify::connections,
           "Connections with notices to one destination at a time, so that many of them do not "
           "crowd out mail.")
      .at_least(1);
  options
      .add("postmaster", &Notify::postmaster,
           "Address that gets a copy of each notice of failure, with the headers of the message.")
      .must_be(valid_mail_address, "an address such as \"postmaster@example.org\", or \"\"")
      .shown_as("\"postmaster@example.org\"");
  options.add("double_bounce", &Notify::double_bounce,
              "A notice to a sender that itself fails goes to `postmaster`, once.");
  return {.name = "notify",
          .sentence =
              "Notices (RFC 3464) to senders: of mail that failed or waits, and of success where "
              "it was "
              "asked for.",
          .options = options.take(),
          .add = single(&Settings::notify),
          .each = visit_single(&Settings::notify)};
}

Section dns() {
  Options<Dns> options;
  options
      .add("servers", &Dns::servers,
           "Recursive name servers to ask, instead of those of `/etc/resolv.conf`.")
      .must_be(valid_dns_server,
               "an IP address, with a port if it is not 53: \"192.0.2.1\" or \"127.0.0.1@5353\"")
      .shown_as("[\"127.0.0.1@5353\"]");
  options
      .add("trust_anchor", &Dns::trust_anchor,
           "File with the DS or DNSKEY records that DNSSEC validation starts from; an answer that "
           "is bogus then counts as none. Without it nothing is validated.")
      .path()
      .shown_as("\"/usr/share/dns/root.key\"");
  options.add("allow_private", &Dns::allow_private,
              "Deliver to MX hosts and address literals on private, loopback, link-local and other "
              "addresses that are not of the public internet. Otherwise such mail waits. A "
              "`next_hop` may be anywhere.");
  options
      .add("prefer", &Dns::prefer,
           "Which addresses of a host are tried first, or alone. The families take turns.")
      .one_of({"ipv6", "ipv4", "ipv4-only", "ipv6-only"});
  options.add("timeout", &Dns::timeout, "How long one lookup may take; then the mail waits.")
      .between(0.1, 600);
  return {.name = "dns",
          .sentence = "Looking up the MX hosts of destinations, and the names of next hops.",
          .options = options.take(),
          .add = single(&Settings::dns),
          .each = visit_single(&Settings::dns)};
}

Section bounces() {
  Options<Bounces> options;
  options
      .add("domain", &Bounces::domain,
           "A domain of its own whose MX is this server: mail to it, from anywhere and on any "
           "listener, is read as a notice about mail that was sent, and goes nowhere else. Empty: "
           "off.")
      .must_be([](std::string_view name) { return name.empty() || valid_host_name(name); },
               "a domain such as \"bounces.example.org\"")
      .shown_as("\"bounces.example.org\"");
  options.add(
      "verp", &Bounces::verp,
      "Send each recipient its copy from an address of its own in `domain`, so that whatever "
      "comes back names the message and the recipient. The sender of the message gets no "
      "notices of other servers then. Not for LMTP, nor for mail without a sender.");
  options.add("envelope_id", &Bounces::envelope_id,
              "Give mail whose sender set none an ENVID of ours where the next hop offers DSN, and "
              "read notices that carry it at the address `bounces@` in `domain`.");
  options
      .add_with(
          "secret", Kind::text,
          "What makes the addresses and ENVIDs unguessable: `file:PATH`, whose first line it is, "
          "`env:NAME`, or the secret itself; at least 16 octets. With another secret, what was "
          "sent before is not known any more.",
          [](Bounces& owner, const Value& value) { owner.secret = std::get<std::string>(value); },
          [](const Bounces& owner) -> std::optional<Value> {
            if (owner.secret.empty()) return std::nullopt;
            return Value(owner.secret_from);
          })
      .secret()
      .shown_as("\"file:/etc/mansio/bounces.secret\"");
  return {.name = "bounces",
          .sentence = "Notices of other servers about mail that this one sent.",
          .options = options.take(),
          .add = single(&Settings::bounces),
          .each = visit_single(&Settings::bounces)};
}

Section maildrop() {
  Options<Maildrop> options;
  options
      .add("path", &Maildrop::path,
           "The folder where the `sendmail` command leaves mail while the daemon does not take it; "
           "empty: none. Who may write into it may send.")
      .path()
      .shown_as("\"/var/spool/mansio/maildrop\"");
  return {.name = "maildrop",
          .sentence = "Mail that local programs hand over while the daemon is down.",
          .options = options.take(),
          .add = single(&Settings::maildrop),
          .each = visit_single(&Settings::maildrop)};
}

Section timeouts() {
  Options<Timeouts> options;
  const auto wait = [&options](const char* key, Duration Timeouts::*member, const char* sentence) {
    options.add(key, member, sentence).at_least(0.001);
  };
  wait("connect", &Timeouts::connect, "To make a connection to one address.");
  wait("greeting", &Timeouts::greeting, "For the greeting of the server.");
  wait("ehlo", &Timeouts::ehlo, "For the reply to EHLO, and for a TLS handshake or AUTH.");
  wait("mail", &Timeouts::mail, "For the reply to MAIL.");
  wait("rcpt", &Timeouts::rcpt, "For the reply to each RCPT.");
  wait("data", &Timeouts::data, "For the reply to DATA.");
  wait("block", &Timeouts::block, "To write one block of message data.");
  wait("final_dot", &Timeouts::final_dot,
       "For the reply after the data. Too short a time makes duplicates.");
  wait("quit", &Timeouts::quit, "For the replies to RSET and QUIT.");
  wait("idle", &Timeouts::idle, "How long an idle connection is kept for more mail; of many, the last thousand.");
  return {.name = "timeouts",
          .sentence = "How long the sending side waits for the next hop (RFC 5321 §4.5.3.2).",
          .options = options.take(),
          .add = single(&Settings::timeouts),
          .each = visit_single(&Settings::timeouts)};
}

Section history() {
  Options<Settings> options;
  options.add("keep", &Settings::history_keep,
              "How long the history of a message is kept after its last event.");
  return {.name = "history",
          .sentence = "What `mansio history` can tell.",
          .options = options.take(),
          .add = [](Settings& settings, const std::string&) -> void* { return &settings; },
          .each =
              [](const Settings& settings,
                 const std::function<void(const std::string&, const void*)>& visit) {
                visit("", &settings);
              }};
}

Section destination() {
  Options<Destination> options;
  options.add("connections", &Destination::connections, "Connections to the destination at a time.")
      .at_least(1)
      .default_is(std::uint64_t{destination_connections});
  options
      .add("messages_per_connection", &Destination::messages_per_connection,
           "Messages after which a connection is closed; 0: no limit.")
      .default_is(std::uint64_t{destination_messages});
  options
      .add("recipients_per_transaction", &Destination::recipients_per_transaction,
           "Recipients of a message that go in one transaction.")
      .at_least(1)
      .default_is(std::uint64_t{destination_recipients});
  Section section{
      .name = "destination",
      .shape = Shape::named,
      .name_word = "pattern",
      .name_example = "\"example.com\"",
      .sentence =
          "Limits of the destinations that the pattern fits. Each value comes from the most "
          "specific table that has it.",
      .options = options.take(),
      .later = {{"connection_rate", "\"\""}, {"message_rate", "\"\""}, {"rollup", "false"}}};
  bind_named(section, &Settings::destinations, &Destination::pattern);
  return section;
}

Section channel() {
  Options<Channel> options;
  options
      .add("type", &Channel::type,
           "What the channel does: speak SMTP or LMTP to the next hop, hold the mail for the "
           "operator, or discard it as delivered.")
      .required("\"lmtp\"")
      .one_of({"smtp", "lmtp", "hold", "discard"}, {"pipe", "program"});
  Section section{.name = "channel",
                  .shape = Shape::named,
                  .name_word = "NAME",
                  .name_example = "archive",
                  .sentence =
                      "A way out with a name of its own, beside `smtp`, `lmtp`, `hold` and "
                      "`discard`, which are always there.",
                  .options = options.take(),
                  .later = {{"command", "[]"},
                            {"option_file", "\"\""},
                            {"instances_max", "1"},
                            {"backoff", "[]"},
                            {"notices", "[]"}}};
  bind_named(section, &Settings::channels, &Channel::name);
  return section;
}

Section admin() {
  Options<Admin> options;
  options
      .add("listen", &Admin::listen,
           "Loopback address and port of the admin API, `/metrics`, `/healthz` and `/readyz`; "
           "empty: off. It asks for no token, so every user of this machine may operate the queue "
           "through it: where that is not wanted, use `socket` instead.")
      .must_be(valid_admin_address,
               "a loopback address and port such as \"127.0.0.1:8025\" (others need TLS and a "
               "token, which are not available in this version), or \"\"");
  options
      .add("socket", &Admin::socket,
           "Path of a Unix socket for the admin API; who may write to it may operate the queue.")
      .path()
      .shown_as("\"/run/mansio/admin.sock\"");
  return {.name = "admin",
          .sentence = "The interface for `mansio` and for monitoring.",
          .options = options.take(),
          .later = {{"tokens_file", "\"\""}},
          .add = single(&Settings::admin),
          .each = visit_single(&Settings::admin)};
}

Section log_section() {
  Options<Log> options;
  options.add("level", &Log::level, "The least level that is written to standard error.")
      .one_of({"debug", "info", "warning", "error"});
  return {.name = "log",
          .sentence = "What the daemon writes about its work.",
          .options = options.take(),
          .add = single(&Settings::log),
          .each = visit_single(&Settings::log)};
}

}  // namespace

const std::vector<Section>& sections() {
  static const std::vector<Section> all = {server(),      spool(),   listener(), limits(),
                                           route(),       retry(),   notify(),   maildrop(),
                                           dns(),         bounces(), timeouts(), history(),
                                           destination(), channel(), admin(),    log_section()};
  return all;
}

const std::vector<LaterSection>& later_sections() {
  static const std::vector<LaterSection> all = {
      {"binding", "Source addresses and names to send from.", {}},
      {"binding_group", "Sets of bindings to choose from.", {}},
      {"sdk", "Programs that dequeue.", {{"socket", "\"\""}, {"allow_users", "[]"}}},
      {"policy", "Modules and scripts that decide.", {{"modules", "[]"}, {"lua", "\"\""}}},
      {"tenant", "Shares and limits by tenant.", {}},
      {"tls", "TLS settings by host and for outgoing mail.", {}},
  };
  return all;
}

}  // namespace mansio::settings
