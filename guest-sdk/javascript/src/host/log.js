export * from "millrace:plugin/log@0.1.0";
