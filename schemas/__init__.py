"""The data contract: record types, dataset directories, journals, and the errors that every layer raises."""
