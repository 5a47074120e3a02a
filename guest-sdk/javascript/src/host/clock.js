export * from "millrace:plugin/clock@0.1.0";
