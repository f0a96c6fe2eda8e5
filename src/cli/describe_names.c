/*
 * The names of chunks, parameters, error causes and the like, and addresses as text.
 *
 * RFC 9260 section 3.2 and 3.3, and the registries of its extensions.
 */
#include <arpa/inet.h>
#include <inttypes.h>

#include "cli/describe.h"
#include "packet/parameter.h"
#include "packet/reconfig.h"

struct name {
    unsigned int number;
    const char *name;
};

static const struct name chunk_names[] = {
    {SCTP_CHUNK_DATA, "DATA"},
    {SCTP_CHUNK_INIT, "INIT"},
    {SCTP_CHUNK_INIT_ACK, "INIT ACK"},
    {SCTP_CHUNK_SACK, "SACK"},
    {SCTP_CHUNK_HEARTBEAT, "HEARTBEAT"},
    {SCTP_CHUNK_HEARTBEAT_ACK, "HEARTBEAT ACK"},
    {SCTP_CHUNK_ABORT, "ABORT"},
    {SCTP_CHUNK_SHUTDOWN, "SHUTDOWN"},
    {SCTP_CHUNK_SHUTDOWN_ACK, "SHUTDOWN ACK"},
    {SCTP_CHUNK_ERROR, "ERROR"},
    {SCTP_CHUNK_COOKIE_ECHO, "COOKIE ECHO"},
    {SCTP_CHUNK_COOKIE_ACK, "COOKIE ACK"},
    {SCTP_CHUNK_ECNE, "ECNE"},
    {SCTP_CHUNK_CWR, "CWR"},
    {SCTP_CHUNK_SHUTDOWN_COMPLETE, "SHUTDOWN COMPLETE"},
    {SCTP_CHUNK_AUTH, "AUTH"},
    {SCTP_CHUNK_I_DATA, "I-DATA"},
    {SCTP_CHUNK_ASCONF_ACK, "ASCONF ACK"},
    {SCTP_CHUNK_RE_CONFIG, "RE-CONFIG"},
    {SCTP_CHUNK_PAD, "PAD"},
    {SCTP_CHUNK_FORWARD_TSN, "FORWARD TSN"},
    {SCTP_CHUNK_ASCONF, "ASCONF"},
    {SCTP_CHUNK_I_FORWARD_TSN, "I-FORWARD TSN"},
    {0, NULL},
};

static const struct name parameter_names[] = {
    {SCTP_PARAMETER_HEARTBEAT_INFO, "Heartbeat Info"},
    {SCTP_PARAMETER_IPV4_ADDRESS, "IPv4 Address"},
    {SCTP_PARAMETER_IPV6_ADDRESS, "IPv6 Address"},
    {SCTP_PARAMETER_STATE_COOKIE, "State Cookie"},
    {SCTP_PARAMETER_UNRECOGNIZED, "Unrecognized Parameter"},
    {SCTP_PARAMETER_COOKIE_PRESERVATIVE, "Cookie Preservative"},
    {SCTP_PARAMETER_HOST_NAME_ADDRESS, "Host Name Address"},
    {SCTP_PARAMETER_SUPPORTED_ADDRESS_TYPES, "Supported Address Types"},
    {SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST, "Outgoing SSN Reset Request"},
    {SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST, "Incoming SSN Reset Request"},
    {SCTP_PARAMETER_SSN_TSN_RESET_REQUEST, "SSN/TSN Reset Request"},
    {SCTP_PARAMETER_RE_CONFIG_RESPONSE, "Re-configuration Response"},
    {SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST, "Add Outgoing Streams Request"},
    {SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST, "Add Incoming Streams Request"},
    {SCTP_PARAMETER_ECN, "ECN"},
    {SCTP_PARAMETER_ZERO_CHECKSUM, "Zero Checksum Acceptable"},
    {SCTP_PARAMETER_RANDOM, "Random"},
    {SCTP_PARAMETER_CHUNK_LIST, "Chunk List"},
    {SCTP_PARAMETER_HMAC_ALGORITHM, "HMAC Algorithm"},
    {SCTP_PARAMETER_PADDING, "Padding"},
    {SCTP_PARAMETER_SUPPORTED_EXTENSIONS, "Supported Extensions"},
    {SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, "Forward TSN Supported"},
    {SCTP_PARAMETER_ADD_IP, "Add IP Address"},
    {SCTP_PARAMETER_DELETE_IP, "Delete IP Address"},
    {SCTP_PARAMETER_ERROR_CAUSE_INDICATION, "Error Cause Indication"},
    {SCTP_PARAMETER_SET_PRIMARY, "Set Primary IP Address"},
    {SCTP_PARAMETER_SUCCESS_INDICATION, "Success Indication"},
    {SCTP_PARAMETER_ADAPTATION_LAYER_INDICATION, "Adaptation Layer Indication"},
    {0, NULL},
};

static const struct name cause_names[] = {
    {SCTP_CAUSE_INVALID_STREAM_IDENTIFIER, "Invalid Stream Identifier"},
    {SCTP_CAUSE_MISSING_MANDATORY_PARAMETER, "Missing Mandatory Parameter"},
    {SCTP_CAUSE_STALE_COOKIE, "Stale Cookie"},
    {SCTP_CAUSE_OUT_OF_RESOURCE, "Out of Resource"},
    {SCTP_CAUSE_UNRESOLVABLE_ADDRESS, "Unresolvable Address"},
    {SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE, "Unrecognized Chunk Type"},
    {SCTP_CAUSE_INVALID_MANDATORY_PARAMETER, "Invalid Mandatory Parameter"},
    {SCTP_CAUSE_UNRECOGNIZED_PARAMETERS, "Unrecognized Parameters"},
    {SCTP_CAUSE_NO_USER_DATA, "No User Data"},
    {SCTP_CAUSE_COOKIE_WHILE_SHUTTING_DOWN, "Cookie Received While Shutting Down"},
    {SCTP_CAUSE_RESTART_WITH_NEW_ADDRESSES, "Restart of an Association with New Addresses"},
    {SCTP_CAUSE_USER_INITIATED_ABORT, "User-Initiated Abort"},
    {SCTP_CAUSE_PROTOCOL_VIOLATION, "Protocol Violation"},
    {SCTP_CAUSE_DELETE_LAST_ADDRESS, "Request to Delete Last Remaining IP Address"},
    {SCTP_CAUSE_RESOURCE_SHORTAGE, "Operation Refused Due to Resource Shortage"},
    {SCTP_CAUSE_DELETE_SOURCE_ADDRESS, "Request to Delete Source IP Address"},
    {SCTP_CAUSE_ILLEGAL_ASCONF_ACK, "Association Aborted Due to Illegal ASCONF-ACK"},
    {SCTP_CAUSE_NO_AUTHORIZATION, "Request Refused - No Authorization"},
    {SCTP_CAUSE_UNSUPPORTED_HMAC, "Unsupported HMAC Identifier"},
    {0, NULL},
};

/* RFC 4895 section 3.3, table 2. */
static const struct name hmac_names[] = {
    {1, "SHA-1"},
    {3, "SHA-256"},
    {0, NULL},
};

/* RFC 6525 section 4.4. */
static const struct name result_names[] = {
    {SCTP_RECONFIG_NOTHING_TO_DO, "Success - Nothing to do"},
    {SCTP_RECONFIG_PERFORMED, "Success - Performed"},
    {SCTP_RECONFIG_DENIED, "Denied"},
    {SCTP_RECONFIG_WRONG_SSN, "Error - Wrong SSN"},
    {SCTP_RECONFIG_REQUEST_IN_PROGRESS, "Error - Request already in progress"},
    {SCTP_RECONFIG_BAD_SEQUENCE_NUMBER, "Error - Bad Sequence Number"},
    {SCTP_RECONFIG_IN_PROGRESS, "In progress"},
    {0, NULL},
};

/* The name of a number in a table that ends with a NULL; `otherwise` formats one without a name. */
static const char *find_name(const struct name *names, unsigned int number, const char *otherwise)
{
    static _Thread_local char unknown[48];

    for (; names->name; names++) {
        if (names->number == number)
            return names->name;
    }
    snprintf(unknown, sizeof(unknown), "%s 0x%02x", otherwise, number);
    return unknown;
}

const char *describe_chunk_type(uint8_t type)
{
    return find_name(chunk_names, type, "chunk type");
}

const char *describe_parameter_type(uint16_t type)
{
    return find_name(parameter_names, type, "parameter type");
}

const char *describe_cause_code(uint16_t code)
{
    return find_name(cause_names, code, "cause code");
}

const char *describe_address(const struct braid_address *address, char *text)
{
    int family = address->family == BRAID_IPV4 ? AF_INET : AF_INET6;

    text[0] = '\0';
    if (braid_address_length(address) == 0)
        snprintf(text, DESCRIBE_ADDRESS_SIZE, "no address");
    else
        inet_ntop(family, address->bytes, text, DESCRIBE_ADDRESS_SIZE);
    if (address->scope != 0) {
        size_t length = strlen(text);

        snprintf(text + length, DESCRIBE_ADDRESS_SIZE - length, "%%%" PRIu32, address->scope);
    }
    return text;
}

const char *describe_hmac(uint16_t identifier)
{
    return find_name(hmac_names, identifier, "HMAC identifier");
}

const char *describe_result(uint32_t result)
{
    return find_name(result_names, result, "result");
}
