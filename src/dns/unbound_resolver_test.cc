// The resolver against a DNS server of the test's own, over UDP on loopback.
#include "dns/unbound_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <thread>

namespace mansio::dns {
namespace {

using boost::asio::ip::udp;
using testing::HasSubstr;

std::string wire(const std::string& name) {
  std::string out;
  std::size_t begin = 0;
  while (begin < name.size()) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    out += static_cast<char>(end - begin) + name.substr(begin, end - begin);
    begin = end + 1;
  }
  return out + '\0';
}

std::string two(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 255)};
}

/// A name server that answers what it was told to, on a thread of its own.
class NameServer {
 public:
  struct Reply {
    int response_code = 0;
    unsigned ttl = 300;
    std::vector<std::pair<int, std::string>> records;  ///< type and rdata
    bool silent = false;
  };

  NameServer() : socket_(context_, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0)) {
    receive();
    thread_ = std::thread([this] { context_.run(); });
  }

  ~NameServer() {
    context_.stop();
    thread_.join();
  }

  void set(const std::string& name, int type, Reply reply) {
    const std::lock_guard lock(mutex_);
    replies_[{name, type}] = std::move(reply);
  }

  int asked(const std::string& name, int type) {
    const std::lock_guard lock(mutex_);
    return asked_[{name, type}];
  }

  std::string address() const {
    return "127.0.0.1@" + std::to_string(socket_.local_endpoint().port());
  }

 private:
  void receive() {
    socket_.async_receive_from(boost::asio::buffer(buffer_), peer_,
                               [this](const ErrorCode& error, std::size_t size) {
                                 if (error) return;
                                 answer(std::string(buffer_.data(), size));
                                 receive();
                               });
  }

  void answer(const std::string& query) {
    std::string name;
    std::size_t at = 12;
    while (at < query.size() && query[at] != 0) {
      const auto length = static_cast<std::size_t>(query[at]);
      if (!name.empty()) name += '.';
      for (const char c : query.substr(at + 1, length)) {
        name += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      }
      at += length + 1;
    }
    const int type = static_cast<unsigned char>(query.at(at + 2));
    const std::string question = query.substr(12, at + 5 - 12);
    Reply reply;
    {
      const std::lock_guard lock(mutex_);
      ++asked_[{name, type}];
      const auto known = replies_.find({name, type});
      if (known != replies_.end()) {
        reply = known->second;
      } else {
        reply.response_code = 3;
      }
    }
    if (reply.silent) return;
    std::string out = query.substr(0, 2) +
                      two(0x8180u | static_cast<unsigned>(reply.response_code)) + two(1) +
                      two(static_cast<unsigned>(reply.records.size())) + two(0) + two(0) + question;
    for (const auto& [record_type, rdata] : reply.records) {
      out += two(0xc00c) + two(static_cast<unsigned>(record_type)) + two(1) + two(reply.ttl >> 16) +
             two(reply.ttl & 0xffff) + two(static_cast<unsigned>(rdata.size())) + rdata;
    }
    ErrorCode ignored;
    socket_.send_to(boost::asio::buffer(out), peer_, 0, ignored);
  }

  boost::asio::io_context context_;
  udp::socket socket_;
  udp::endpoint peer_;
  std::array<char, 2048> buffer_{};
  std::mutex mutex_;
  std::map<std::pair<std::string, int>, Reply> replies_;
  std::map<std::pair<std::string, int>, int> asked_;
  std::thread thread_;
};

constexpr int a = 1, mx = 15, aaaa = 28;

/// A loop on its own thread with a resolver, and coroutines on a second loop.
class UnboundResolverTest : public testing::Test {
 protected:
  UnboundResolverTest() {
    options.servers = {server.address()};
    options.hosts_file.clear();
    options.timeout = std::chrono::seconds(10);
    threads.emplace_back([this] { resolver_loop.run(); });
    threads.emplace_back([this] { asking_loop.run(); });
  }

  ~UnboundResolverTest() override {
    resolver.reset();
    resolver_work.reset();
    asking_work.reset();
    asking_loop.stop();
    resolver_loop.stop();
    for (std::thread& thread : threads) thread.join();
  }

  UnboundResolver& make() {
    if (!resolver) {
      resolver = std::make_unique<UnboundResolver>(options, *clock, resolver_loop.get_executor());
    }
    return *resolver;
  }

  template <class T>
  std::future<T> start(Task<T> task) {
    auto promise = std::make_shared<std::promise<T>>();
    boost::asio::co_spawn(asking_loop, std::move(task),
                          [promise](const std::exception_ptr& error, T value) {
                            if (error) {
                              promise->set_exception(error);
                            } else {
                              promise->set_value(std::move(value));
                            }
                          });
    return promise->get_future();
  }

  MxAnswer ask_mx(const std::string& name) { return start(make().mx(name)).get(); }

  AddressAnswer ask(const std::string& name, Family family) {
    return start(make().addresses(name, family)).get();
  }

  NameServer server;
  UnboundOptions options;
  std::unique_ptr<Clock> clock = make_system_clock();
  boost::asio::io_context resolver_loop, asking_loop;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>>
      resolver_work{resolver_loop.get_executor()}, asking_work{asking_loop.get_executor()};
  std::vector<std::thread> threads;
  std::unique_ptr<UnboundResolver> resolver;
};

TEST_F(UnboundResolverTest, GivesRecordsOfEveryKind) {
  server.set(
      "b.example", mx,
      {0, 300, {{mx, two(10) + wire("mx1.b.example")}, {mx, two(20) + wire("MX2.b.example")}}});
  server.set("mx1.b.example", a, {0, 300, {{a, "\xc0\x01\x02\x01"}}});
  server.set("mx1.b.example", aaaa, {});
  const MxAnswer records = ask_mx("B.Example");
  EXPECT_EQ(records.status, Status::found) << records.why;
  EXPECT_THAT(records.records, testing::UnorderedElementsAre(MxRecord{10, "mx1.b.example"},
                                                             MxRecord{20, "mx2.b.example"}));
  EXPECT_FALSE(records.secure);
  EXPECT_EQ(ask("mx1.b.example", Family::v4).addresses, std::vector<std::string>{"192.1.2.1"});
  EXPECT_EQ(ask("mx1.b.example", Family::v6).status, Status::no_data);
  EXPECT_EQ(ask("gone.example", Family::v4).status, Status::no_domain);
}

TEST_F(UnboundResolverTest, R40_gives_a_null_MX_as_an_empty_name) {
  server.set("null.example", mx, {0, 300, {{mx, two(0) + std::string(1, '\0')}}});
  EXPECT_EQ(ask_mx("null.example").records, std::vector<MxRecord>{MxRecord{}});
}

TEST_F(UnboundResolverTest, R33_follows_a_CNAME) {
  server.set("alias.example", mx, {0, 300, {{5, wire("real.example")}}});
  server.set("real.example", mx, {0, 300, {{mx, two(5) + wire("mx.example")}}});
  EXPECT_EQ(ask_mx("alias.example").records, (std::vector<MxRecord>{{5, "mx.example"}}));
  server.set("alias.example", a, {0, 300, {{5, wire("real.example")}}});
  server.set("real.example", a, {0, 300, {{a, "\x01\x02\x03\x04"}}});
  const AddressAnswer answer = ask("alias.example", Family::v4);
  EXPECT_EQ(answer.addresses, std::vector<std::string>{"1.2.3.4"});
  EXPECT_EQ(answer.canonical, "real.example");
}

TEST_F(UnboundResolverTest, F14_response_codes_of_trouble_are_temporary) {
  for (const int code : {1, 2, 4, 5}) {
    const std::string name = "code" + std::to_string(code) + ".example";
    NameServer::Reply reply;
    reply.response_code = code;
    server.set(name, mx, reply);
    EXPECT_EQ(ask_mx(name).status, Status::temporary) << code;
  }
}

TEST_F(UnboundResolverTest, F14_a_CNAME_loop_is_temporary) {
  server.set("one.example", mx, {0, 300, {{5, wire("two.example")}}});
  server.set("two.example", mx, {0, 300, {{5, wire("one.example")}}});
  EXPECT_EQ(ask_mx("one.example").status, Status::temporary);
}

TEST_F(UnboundResolverTest, F14_a_silent_server_is_waited_for_until_the_deadline_and_no_longer) {
  NameServer::Reply silent;
  silent.silent = true;
  server.set("slow.example", mx, silent);
  server.set("fast.example", mx, {0, 300, {{mx, two(1) + wire("mx.example")}}});
  options.timeout = std::chrono::milliseconds(300);
  auto slow = start(make().mx("slow.example"));
  EXPECT_EQ(ask_mx("fast.example").status, Status::found);  // others are not affected
  const MxAnswer answer = slow.get();
  EXPECT_EQ(answer.status, Status::temporary);
  EXPECT_THAT(answer.why, HasSubstr("no answer within 300ms"));
}

TEST_F(UnboundResolverTest, AnswersAreCachedAsLongAsTheyHold) {
  server.set("kept.example", mx, {0, 300, {{mx, two(1) + wire("mx.example")}}});
  server.set("brief.example", mx, {0, 0, {{mx, two(1) + wire("mx.example")}}});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask_mx("kept.example").status, Status::found);
    EXPECT_EQ(ask_mx("brief.example").status, Status::found);
  }
  EXPECT_EQ(server.asked("kept.example", mx), 1);
  EXPECT_EQ(server.asked("brief.example", mx), 3);  // TTL 0
}

TEST_F(UnboundResolverTest, WhatIsWantedNowIsAskedPastTheCache) {
  server.set("kept.example", mx, {0, 300, {{mx, two(1) + wire("old.example")}}});
  EXPECT_EQ(ask_mx("kept.example").status, Status::found);
  for (const char* name : {"old.example", "new.example"}) {
    server.set("kept.example", mx, {0, 300, {{mx, two(1) + wire(name)}}});
    EXPECT_EQ(start(make().mx_now("kept.example")).get().records[0].host, name);
    EXPECT_EQ(ask_mx("kept.example").records[0].host, "old.example");
  }
}

TEST_F(UnboundResolverTest, LookupsForOneNameAreOneLookup) {
  NameServer::Reply silent;
  silent.silent = true;
  server.set("slow.example", mx, silent);
  options.timeout = std::chrono::milliseconds(400);
  std::vector<std::future<MxAnswer>> all;
  for (int i = 0; i < 100; ++i) all.push_back(start(make().mx("slow.example")));
  for (auto& answer : all) EXPECT_EQ(answer.get().status, Status::temporary);
  EXPECT_EQ(resolver->lookups(), 1u);
}

TEST_F(UnboundResolverTest, TooManyLookupsAreTemporaryAtOnce) {
  NameServer::Reply silent;
  silent.silent = true;
  options.under_way_max = 2;
  options.waiting_max = 3;
  options.timeout = std::chrono::milliseconds(400);
  std::vector<std::future<MxAnswer>> all;
  for (int i = 0; i < 10; ++i) {
    const std::string name = "n" + std::to_string(i) + ".example";
    server.set(name, mx, silent);
    all.push_back(start(make().mx(name)));
  }
  int too_many = 0;
  for (auto& answer : all) {
    const MxAnswer got = answer.get();
    EXPECT_EQ(got.status, Status::temporary);
    if (got.why.find("too many") != std::string::npos) ++too_many;
  }
  EXPECT_EQ(too_many, 5);
  EXPECT_LE(resolver->lookups(), 2u);
}

TEST_F(UnboundResolverTest, ManyLookupsAtATimeAllGetTheirAnswer) {
  std::vector<std::future<MxAnswer>> all;
  for (int i = 0; i < 500; ++i) {
    const std::string name = "n" + std::to_string(i) + ".example";
    server.set(name, mx, {0, 300, {{mx, two(1) + wire("mx" + std::to_string(i) + ".example")}}});
  }
  for (int i = 0; i < 500; ++i) {
    all.push_back(start(make().mx("n" + std::to_string(i) + ".example")));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const MxAnswer answer = all[i].get();
    ASSERT_EQ(answer.status, Status::found) << answer.why;
    EXPECT_EQ(answer.records[0].host, "mx" + std::to_string(i) + ".example");
  }
}

TEST_F(UnboundResolverTest, EndsWithLookupsUnderWay) {
  NameServer::Reply silent;
  silent.silent = true;
  server.set("slow.example", mx, silent);
  auto slow = start(make().mx("slow.example"));
  while (server.asked("slow.example", mx) == 0) std::this_thread::yield();
  resolver.reset();
  const MxAnswer answer = slow.get();
  EXPECT_EQ(answer.status, Status::temporary);
  EXPECT_THAT(answer.why, HasSubstr("replaced"));
}

TEST_F(UnboundResolverTest, MayEndBeforeWhatIsAskedPastTheCache) {
  NameServer::Reply silent;
  silent.silent = true;
  server.set("slow.example", mx, silent);
  options.timeout = std::chrono::milliseconds(300);
  auto slow = start(make().mx_now("slow.example"));
  while (server.asked("slow.example", mx) == 0) std::this_thread::yield();
  resolver.reset();
  EXPECT_EQ(slow.get().status, Status::temporary);
}

TEST_F(UnboundResolverTest, ACancelledLookupLeavesTheOthersAlone) {
  NameServer::Reply silent;
  silent.silent = true;
  server.set("slow.example", mx, silent);
  options.timeout = std::chrono::milliseconds(500);
  UnboundResolver& asked = make();
  boost::asio::cancellation_signal signal;
  std::promise<bool> aborted;
  boost::asio::co_spawn(
      asking_loop, asked.mx("slow.example"),
      boost::asio::bind_cancellation_slot(
          signal.slot(), [&aborted](const std::exception_ptr& error, const MxAnswer&) {
            aborted.set_value(error != nullptr);
          }));
  auto other = start(asked.mx("slow.example"));
  while (server.asked("slow.example", mx) == 0) std::this_thread::yield();
  boost::asio::post(asking_loop,
                    [&signal] { signal.emit(boost::asio::cancellation_type::terminal); });
  EXPECT_TRUE(aborted.get_future().get());
  EXPECT_EQ(other.get().status, Status::temporary);
}

TEST_F(UnboundResolverTest, TheHostsFileComesFirstForAddressesAlone) {
  const auto path =
      std::filesystem::temp_directory_path() / ("mansio_hosts_test_" + std::to_string(::getpid()));
  std::ofstream(path) << "192.0.2.7 known.example\n";
  options.hosts_file = path;
  server.set("known.example", mx, {0, 300, {{mx, two(1) + wire("mx.example")}}});
  EXPECT_EQ(ask("Known.example", Family::v4).addresses, std::vector<std::string>{"192.0.2.7"});
  EXPECT_EQ(ask("known.example", Family::v6).status, Status::no_data);
  EXPECT_EQ(ask_mx("known.example").status, Status::found);
  EXPECT_EQ(server.asked("known.example", a), 0);
  std::filesystem::remove(path);
}

TEST_F(UnboundResolverTest, LocalhostNeedsNoServer) {
  EXPECT_EQ(ask("localhost", Family::v4).addresses, std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(ask("localhost", Family::v6).addresses, std::vector<std::string>{"::1"});
}

TEST_F(UnboundResolverTest, NamesThatTheirUsersServeAreAskedForLikeOthers) {
  for (const char* name : {"b.test", "b.home.arpa"}) {
    server.set(name, mx, {0, 300, {{mx, two(1) + wire("mx.b.test")}}});
    EXPECT_EQ(ask_mx(name).status, Status::found) << name;
  }
}

TEST_F(UnboundResolverTest, WhatIsNoNameIsNotAskedFor) {
  for (const std::string& name :
       {std::string(), std::string("a..b"), std::string("a b"), std::string(64, 'x'),
        std::string("a\\.b"), std::string(300, 'a'), std::string("b\xc3\xbc.example")}) {
    EXPECT_EQ(ask_mx(name).status, Status::no_domain) << name;
    EXPECT_EQ(ask(name, Family::v4).status, Status::no_domain) << name;
  }
  EXPECT_EQ(resolver->lookups(), 0u);
}

TEST_F(UnboundResolverTest, WhatCannotWorkIsFoundOutAtTheStart) {
  options.servers = {"not an address"};
  EXPECT_THROW(make(), std::runtime_error);
  options.servers = {server.address()};
  const auto path =
      std::filesystem::temp_directory_path() / ("mansio_anchor_test_" + std::to_string(::getpid()));
  std::ofstream(path) << "this is no key\n";
  options.trust_anchor = path;
  EXPECT_THROW(make(), std::runtime_error);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace mansio::dns
