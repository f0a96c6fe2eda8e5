#!/usr/bin/env python3
"""What tshark reads in our packets is what we wrote in them.

    check_tshark.py WRITE_SAMPLES

Lets WRITE_SAMPLES write one packet of every kind into a capture. tshark, which shares no code with
us, must find every CRC32c right (RFC 9260 appendix A), nothing malformed, nothing to remark, and
the values that tests/packet/samples.c wrote (RFC 9260 section 3.3). Skipped without tshark.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
CHECKSUM_GOOD = "1"

# In the order of tests/packet/samples.c: the fields of a packet, and all the values of each.
EXPECTED = [
    {"sctp.chunk_type": ["0", "0"], "sctp.data_tsn_raw": ["1000", "1001"],
     "sctp.data_sid": ["0x0003", "0x0003"], "sctp.data_ssn": ["4", "4"],
     "sctp.chunk_flags": ["0x03", "0x0f"], "sctp.chunk_length": ["45", "17"]},
    {"sctp.chunk_type": ["1"], "sctp.init_initiate_tag": ["0x55667788"],
     "sctp.init_credit": ["131072"], "sctp.init_nr_out_streams": ["10"],
     "sctp.init_nr_in_streams": ["65535"], "sctp.init_initial_tsn": ["1000"],
     "sctp.parameter_ipv4_address": ["192.0.2.1"],
     "sctp.parameter_ipv6_address": ["2001:db8::1"],
     "sctp.parameter_type": ["0x0005", "0x0006", "0x8000", "0x8001", "0x8002", "0x8003", "0x8004",
                             "0x8008", "0xc000", "0xc006", "0x000c", "0x0009", "0x8005"],
     "sctp.hmac_id": ["3", "1"], "sctp.chunk_type_to_auth": ["193", "128"],
     "sctp.supported_chunk_type": ["193", "128", "15", "192", "130"],
     "sctp.adaptation_layer_indication": ["0x0badcafe"],
     "sctp.parameter_supported_address_type": ["5", "6"],
     "sctp.parameter_cookie_preservative_incr": ["30000"]},
    {"sctp.chunk_type": ["2"], "sctp.initack_initiate_tag": ["0x99aabbcc"],
     "sctp.initack_credit": ["65536"], "sctp.initack_nr_out_streams": ["1"],
     "sctp.initack_nr_in_streams": ["2"], "sctp.initack_initial_tsn": ["4294967295"],
     "sctp.parameter_type": ["0x0007", "0x0005", "0x0006", "0x8000", "0x8001", "0x8002", "0x8003",
                             "0x8004", "0x8008", "0xc000", "0xc006", "0x0008", "0xc0ff"]},
    {"sctp.chunk_type": ["3", "3"], "sctp.sack_cumulative_tsn_ack_raw": ["1000", "1001"],
     "sctp.sack_a_rwnd": ["65536", "65536"], "sctp.sack_gap_block_start": ["2", "5"],
     "sctp.sack_gap_block_end": ["3", "9"], "sctp.sack_duplicate_tsn": ["998", "999"]},
    {"sctp.chunk_type": ["4"], "sctp.parameter_type": ["0x0001"]},
    {"sctp.chunk_type": ["5"], "sctp.parameter_type": ["0x0001"]},
    {"sctp.chunk_type": ["6"], "sctp.cause_code": ["0x000c", "0x000d", "0x0009"],
     "sctp.cause_tsn": ["1000"], "sctp.abort_t_bit": ["1"]},
    {"sctp.chunk_type": ["6"], "sctp.cause_code": ["0x000b"], "sctp.abort_t_bit": ["0"],
     "sctp.parameter_ipv4_address": ["192.0.2.1"],
     "sctp.parameter_ipv6_address": ["2001:db8::1"]},
    {"sctp.chunk_type": ["7"], "sctp.shutdown_cumulative_tsn_ack": ["1001"]},
    {"sctp.chunk_type": ["8"]},
    {"sctp.chunk_type": ["9", "126"],
     "sctp.cause_code": ["0x0001", "0x0002", "0x0003", "0x0004", "0x0005", "0x0006", "0x0007",
                         "0x0008", "0x000a", "0x0105"],
     "sctp.cause_stream_identifier": ["77"], "sctp.cause_missing_parameter_type": ["0x0007"],
     "sctp.cause_measure_of_staleness": ["1500000"], "sctp.parameter_hostname": ["abc"]},
    {"sctp.chunk_type": ["10"], "sctp.chunk_length": ["34"]},
    {"sctp.chunk_type": ["11"]},
    {"sctp.chunk_type": ["12"], "sctp.ecne_lowest_tsn": ["1000"]},
    {"sctp.chunk_type": ["13"], "sctp.cwr_lowest_tsn": ["1000"]},
    {"sctp.chunk_type": ["14"], "sctp.shutdown_complete_t_bit": ["1"]},
    {"sctp.chunk_type": ["192"], "sctp.forward_tsn_tsn": ["1010"],
     "sctp.forward_tsn_sid": ["3", "5"], "sctp.forward_tsn_ssn": ["4", "6"]},
    {"sctp.chunk_type": ["15", "193"], "sctp.asconf_seq_nr_number": ["0x00001092"],
     "sctp.parameter_type": ["0x0005", "0xc001", "0x0006", "0xc004", "0x0006", "0xc002", "0x0006"],
     "sctp.correlation_id": ["1", "2", "3"]},
    {"sctp.chunk_type": ["128"], "sctp.asconf_ack_seq_nr_number": ["0x00001092"],
     "sctp.parameter_type": ["0xc005", "0xc003", "0xc001", "0x0005"],
     "sctp.cause_code": ["0x00a1"]},
    {"sctp.chunk_type": ["11", "132"]},
    {"sctp.chunk_type": ["130", "130", "130"],
     "sctp.parameter_type": ["0x000d", "0x000e", "0x000f", "0x0011", "0x0012"],
     "sctp.parameter_reconfig_request_sequence_number": ["1000", "1001", "1002", "1003", "1004"],
     "sctp.parameter_reconfig_response_sequence_number": ["2000"],
     "sctp.parameter_senders_last_assigned_tsn": ["3000"],
     "sctp.parameter_reconfig_sid": ["3", "5", "3"],
     "sctp.parameter_add_outgoing_streams_number": ["7"],
     "sctp.parameter_add_incoming_streams_number": ["7"]},
    {"sctp.chunk_type": ["130"], "sctp.parameter_type": ["0x0010", "0x0010"],
     "sctp.parameter_reconfig_response_sequence_number": ["1000", "1001"],
     "sctp.parameter_reconfig_response_result": ["2", "1"],
     "sctp.parameter_senders_next_tsn": ["4000"],
     "sctp.parameter_receivers_next_tsn": ["5000"]},
    {"sctp.chunk_type": ["194"], "sctp.i_forward_tsn_tsn": ["1011"], "sctp.i_forward_tsn_sid": ["3", "5"],
     "sctp.i_forward_tsn_u_bit": ["0", "1"], "sctp.forward_tsn_mid": ["70000", "0"]},
]

ALWAYS = {
    "sctp.srcport": ["40000"],
    "sctp.dstport": ["5001"],
    "sctp.verification_tag": ["0x1a2b3c4d"],
    "sctp.checksum.status": [CHECKSUM_GOOD],
    "_ws.malformed": [],
    "_ws.expert.message": [],
}


def as_number(text):
    try:
        return int(text, 0)
    except ValueError:
        return text


def read_with_tshark(capture, fields):
    command = ["tshark", "-r", capture, "-T", "json", "-o", "sctp.checksum:CRC 32c"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [packet["_source"]["layers"] for packet in json.loads(done.stdout)]


def main():
    if not shutil.which("tshark"):
        return SKIPPED
    fields = sorted({field for expected in EXPECTED for field in expected} | set(ALWAYS))
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for link in ("ipv4", "ipv6", "ethernet"):
            capture = os.path.join(folder, link + ".pcap")
            subprocess.run([sys.argv[1], capture, link], check=True)
            packets = read_with_tshark(capture, fields)
            if len(packets) != len(EXPECTED):
                print(f"{link}: {len(packets)} packets, expected {len(EXPECTED)}")
                failures += 1
            for number, (packet, expected) in enumerate(zip(packets, EXPECTED), 1):
                for field, values in {**ALWAYS, **expected}.items():
                    read = packet.get(field, [])
                    if [as_number(v) for v in read] != [as_number(v) for v in values]:
                        print(f"{link}: packet {number}: {field}: {read}, expected {values}")
                        failures += 1
    return 1 if failures else 0


sys.exit(main())
